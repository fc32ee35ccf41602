package mi

import (
	"errors"
	"fmt"
	"testing"
)

func TestErrorIs(t *testing.T) {
	err := fmt.Errorf("smpp_enable: %w", NewError(CodeNotFound, "no connection is called x", nil))
	if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v is matched wrongly", err)
	}
	if errors.Is(err, NewError(CodeNotFound, "another", nil)) {
		t.Error("an error is matched by another one with a message of its own")
	}
	for code, want := range map[int]bool{CodeNotNow: true, CodeThrottled: true, CodeShuttingDown: true, CodeForbidden: false, CodeFailed: false} {
		if IsTemporary(fmt.Errorf("x: %w", NewError(code, "m", nil))) != want {
			t.Errorf("%d: want %t", code, want)
		}
	}
	if IsTemporary(errors.New("x")) {
		t.Error("what is no error of the MI is temporary")
	}
}
