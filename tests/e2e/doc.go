// Package e2e tests the program as its users have it: real processes of the real binary on loopback ports, killed, cut off from
// power, given damaged files, full disks and nonsense, and asked by real clients.
//
//	go test ./tests/e2e                   the default run, a few minutes
//	go test ./tests/e2e -short            fewer kills, cuts and damaged copies
//	go test ./tests/e2e -cuts 200 -run PowerCut -timeout 1h
//
// What a machine lacks (root, loop devices, redis-server) is skipped with a message, and is an error with REQUIRE_RIG=1. The seed
// of each test is printed, and -seed gives it again: it fixes what the clients choose and where faults strike, but not the moment.
package e2e
