package config

//go:generate go test -run "^Test(Example|README)$" . -rewrite
