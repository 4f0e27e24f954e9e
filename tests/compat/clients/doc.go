// Package clients runs Go clients and lock libraries made for Redis, unmodified, against the real server. It is a module of its
// own, so that the server's go.mod stays free of them; `go test ./...` here builds the server from the module around it.
package clients
