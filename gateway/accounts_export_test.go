package gateway

import (
	"time"

	"golang.org/x/crypto/bcrypt"
)

func init() { passwordCost, noticePause = bcrypt.MinCost, time.Millisecond }
