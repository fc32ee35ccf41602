package gateway

import "golang.org/x/crypto/bcrypt"

func init() { passwordCost = bcrypt.MinCost }
