package mi

//go:generate go test -run TestOpenRPC -update

// Discover gives the OpenRPC document, as its specification asks for.
var Discover = declare[None, Document]("rpc.discover", "gives the OpenRPC document of every method").reads(RoleApp)

// Document is an OpenRPC document (1.3), made from the declarations of the methods.
type Document map[string]any

// OpenRPC makes the document of every method.
func OpenRPC() Document {
	methods := make([]schema, len(declarations))
	for i, d := range declarations {
		params := make([]schema, len(d.Params))
		for j, p := range d.Params {
			params[j] = schema{"name": p.Name, "summary": p.Want, "schema": schemaOf(p.typ, true)}
			if !p.Optional {
				params[j]["required"] = true
			}
		}
		methods[i] = schema{
			"name": d.Name, "summary": d.Summary, "params": params, "paramStructure": "either",
			"result":  schema{"name": "result", "schema": schemaOf(d.result, false)},
			"x-roles": d.RolesText(), "x-changes": d.Changes,
		}
	}
	return Document{
		"openrpc": "1.3.2",
		"info": schema{
			"title": "sipsmpp management interface", "version": "1",
			"description": "JSON-RPC 2.0 by HTTP POST and WebSocket on /mi, and by Unix socket. Numbers and booleans may come as strings.",
		},
		"methods": methods,
	}
}
