package gatewaytest

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// Register registers a user where the agent listens, "sip:127.0.0.1:5060;transport=tcp" being the registrar, with credentials once
// it is asked for them, and gives the final response code. expires 0 ends the registration.
func (u *UserAgent) Register(ctx context.Context, registrar, user, password string, expires int) (code int, err error) {
	var recipient, address sip.Uri
	if err := sip.ParseUri(registrar, &recipient); err != nil {
		return 0, fmt.Errorf("registrar %q: %w", registrar, err)
	}
	if err := sip.ParseUri("sip:"+user+"@"+recipient.Host, &address); err != nil {
		return 0, fmt.Errorf("user %q: %w", user, err)
	}
	transport := ""
	if by, given := recipient.UriParams.Get("transport"); given {
		transport = ";transport=" + by
	}
	req := sip.NewRequest(sip.REGISTER, recipient)
	from := &sip.FromHeader{Address: address}
	from.Params.Add("tag", sip.GenerateTagN(16))
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: address})
	req.AppendHeader(sip.NewHeader("Contact", fmt.Sprintf("<sip:%s@%s%s>;expires=%d", user, u.addr, transport, expires)))
	res, err := u.client.Do(ctx, req)
	if err == nil && (res.StatusCode == 401 || res.StatusCode == 407) {
		res, err = u.client.DoDigestAuth(ctx, req, res, sipgo.DigestAuth{Username: user, Password: password})
	}
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}
