package mi

import "errors"

// What errors.Is finds an error of the MI by: errors.Is(err, mi.ErrNotFound). They stand for a code, whatever the message is.
var (
	ErrInvalidParams = &Error{Code: CodeInvalidParams}
	ErrBadValue      = &Error{Code: CodeBadValue}
	ErrUnauthorized  = &Error{Code: CodeUnauthorized}
	ErrForbidden     = &Error{Code: CodeForbidden}
	ErrNotFound      = &Error{Code: CodeNotFound}
	ErrConflict      = &Error{Code: CodeConflict}
	ErrThrottled     = &Error{Code: CodeThrottled}
	ErrNotNow        = &Error{Code: CodeNotNow}
	ErrFailed        = &Error{Code: CodeFailed}
	ErrShuttingDown  = &Error{Code: CodeShuttingDown}
)

// Is says that the target stands for the code of this error.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == "" && t.Data == nil
}

// IsTemporary says that the gateway refused a call for now: the same call may succeed later.
func IsTemporary(err error) bool {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case CodeThrottled, CodeNotNow, CodeShuttingDown:
		return true
	}
	return false
}
