package mi

// Example is a call that shows what a method is for.
type Example struct {
	Method string
	Params string // JSON, by name; $NAME stands for what the story brought before: an id
}

// Examples are the calls of one story, in its order: a gateway with a connection, practice, gets another one, an account, a user and
// rules; messages go out and come in; then it is tidied up. A test makes every call against a gateway between scripted peers, and
// docs/methods.md shows what was answered: `go generate ./mi/server` writes it.
var Examples = []Example{
	{"version", `{}`},
	{"uptime", `{}`},
	{"ps", `{}`},
	{"which", `{"command":"message_show"}`},
	{"help", `{"mi_cmd":"smpp_rebind"}`},
	{"rpc.discover", `{}`},
	{"log_level", `{"level":"info"}`},

	{"smpp_list", `{"name":"practice"}`},
	{"smpp_add", `{"name":"acme","ip":"smsc.example.com","port":2775,"system_id":"me","password":"secret","enabled":false,"options":{"receipt":true}}`},
	{"smpp_set", `{"name":"acme","throughput":50}`},
	{"smpp_reload", `{}`},
	{"smpp_disable", `{"name":"practice"}`},
	{"smpp_enable", `{"name":"practice"}`},
	{"smpp_rebind", `{"name":"practice"}`},

	{"account_add", `{"system_id":"shop","password":"secret","allowed_ips":"192.0.2.0/24","throughput":20}`},
	{"account_set", `{"system_id":"shop","max_binds":2}`},
	{"account_list", `{"system_id":"shop"}`},
	{"account_reload", `{}`},

	{"sip_list", `{}`},
	{"sip_user_add", `{"username":"alice","password":"secret","numbers":["+4930123456"]}`},
	{"sip_user_set", `{"username":"alice","numbers":["+4930123456","100"]}`},
	{"sip_user_list", `{}`},
	{"sip_user_reload", `{}`},
	{"sip_contacts", `{}`},
	{"sip_contact_delete", `{"username":"alice"}`},
	{"sip_trace", `{"user":"alice","seconds":1}`},

	{"route_add", `{"name":"germany","to_match":"+49*","targets":"smpp:practice","options":{"receipt":true}}`},
	{"route_set", `{"id":$rule,"priority":10}`},
	{"route_list", `{"id":$rule}`},
	{"route_reload", `{}`},
	{"route_test", `{"from":"100","to":"+4915112345678","text":"hi"}`},

	{"message_send", `{"from":"MyShop","to":"+4915112345678","text":"Your code is 123456","receipt":true,"ref":"order 17"}`},
	{"message_show", `{"id":"$message"}`},
	{"message_list", `{"to":"+4915112345678","limit":1}`},
	{"message_retry", `{"id":"$deferred"}`},
	{"message_cancel", `{"id":"$deferred"}`},
	{"smpp_trace", `{"name":"practice","count":1,"text":true}`},
	{"message_route", `{"id":"$awaiting","target":"smpp:practice"}`},
	{"message_reject", `{"id":"$awaiting","code":486}`},

	{"events_list", `{}`},
	{"event_subscribe", `{"event":"E_MESSAGE_*","socket":"udp:127.0.0.1:9","expire":60}`},
	{"event_subscribe", `{"event":"E_MESSAGE_*","durable":"crm"}`},
	{"ack", `{"seq":1}`},
	{"subscribers_list", `{}`},
	{"subscriber_delete", `{"name":"crm"}`},
	{"raise_event", `{"event":"E_SHOP_CLOSED","params":{"until":"08:00"}}`},

	{"get_statistics", `{"statistics":["smpp:binds_bound","route:germany-sent"]}`},
	{"list_statistics", `{"statistics":["smpp:"]}`},
	{"reset_statistics", `{"statistics":["all"]}`},

	{"config_diff", `{}`},
	{"reload", `{}`},

	{"route_delete", `{"id":$rule}`},
	{"smpp_delete", `{"name":"acme"}`},
	{"account_delete", `{"system_id":"shop"}`},
	{"sip_user_delete", `{"username":"alice"}`},
	{"kill", `{}`},
}
