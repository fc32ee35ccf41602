package api

import (
	"time"

	"sipsmpp/examples/httpapi/hook"
	"sipsmpp/examples/httpapi/store"
)

type webhook struct {
	URL    string `json:"url"`
	Secret string `json:"secret"`
}

func (a *API) getWebhook(r *request) (any, error) {
	return webhook{r.customer.WebhookURL, r.customer.WebhookSecret}, nil
}

func (a *API) putWebhook(r *request) (any, error) {
	var body struct {
		URL         string `json:"url"`
		RenewSecret bool   `json:"renew_secret"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	if body.URL != "" {
		if err := hook.CheckURL(body.URL, a.options.PrivateWebhooks); err != nil {
			return nil, badField("url", err.Error())
		}
	}
	secret, err := a.db.SetWebhook(r.Context(), r.customer.ID, body.URL, body.RenewSecret)
	return webhook{body.URL, secret}, err
}

type delivery struct {
	ID        string    `json:"id"`
	MessageID string    `json:"message_id"`
	Event     string    `json:"event"`
	State     string    `json:"state"`
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error,omitempty"`
	Created   time.Time `json:"created"`
}

type deliveryList struct {
	Deliveries []delivery `json:"deliveries"`
	Next       string     `json:"next"`
}

func (a *API) listDeliveries(r *request) (any, error) {
	limit, before, err := r.page()
	if err != nil {
		return nil, err
	}
	state := store.HookState(r.URL.Query().Get("state"))
	switch state {
	case "":
		state = store.HookDead
	case store.HookPending, store.HookDone, store.HookDead:
	default:
		return nil, badField("state", "want dead, pending or done")
	}
	list, err := a.db.Hooks(r.Context(), r.customer.ID, state, before, limit)
	result := deliveryList{Deliveries: make([]delivery, len(list))}
	for i, h := range list {
		result.Deliveries[i] = delivery{h.ID, h.MessageID, string(h.Event), string(h.State), h.Attempts, h.LastError, store.Time(h.Created)}
	}
	if len(list) == limit {
		result.Next = list[limit-1].ID
	}
	return result, err
}

func (a *API) retryDelivery(r *request) (any, error) {
	_, err := a.db.RetryHook(r.Context(), r.customer.ID, r.PathValue("id"))
	return struct {
		State string `json:"state"`
	}{string(store.HookPending)}, err
}
