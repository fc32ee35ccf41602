package server

import (
	"context"

	"sipsmpp/mi"
)

func (s *Server) sipContacts(ctx context.Context, p mi.SIPContactsParams) (mi.SIPContactsResult, error) {
	result := mi.SIPContactsResult{Registrar: s.core.SIPRegistrar(), Contacts: []mi.SIPContact{}}
	contacts, err := s.core.SIPContacts(ctx, p.Username)
	if err != nil {
		return result, sipError(err)
	}
	for _, c := range contacts {
		result.Contacts = append(result.Contacts, mi.SIPContact{
			ID: c.ID.String(), Username: c.User, Contact: c.URI, Received: c.Received, Path: c.Path, Q: float64(c.Q) / 1000,
			Instance: c.Instance, RegID: c.RegID, UserAgent: c.UserAgent,
			Since: mi.Time(c.Since), Updated: mi.Time(c.Updated), Expires: mi.Time(c.Expires),
		})
	}
	return result, nil
}

func (s *Server) sipContactDelete(ctx context.Context, p mi.SIPContactDeleteParams) (mi.SIPContactDeleteResult, error) {
	n, err := s.core.DeleteSIPContacts(ctx, p.Username, p.Contact)
	if err != nil {
		return mi.SIPContactDeleteResult{}, sipError(err)
	}
	return mi.SIPContactDeleteResult{Deleted: n}, nil
}
