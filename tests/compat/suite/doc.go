// Command suite runs Redis's own test-suite against this server, as it is run against any server from outside
// (runtest --host --port), and holds what came out against what is expected:
//
//	go run ./tests/compat/suite                      every unit of the list
//	go run ./tests/compat/suite -unit unit/expire    one of them; -v prints why a test failed
//	go run ./tests/compat/suite -list                a table of what does not pass, and why
//
// expected.txt names every test that does not pass, with the reason. A test that fails and is not named there is a failure, and so is
// one that is named there and passes: the list is always true. The sources of the suite are fetched once from Debian's archive, checked by
// their SHA-256, and kept in the user's cache directory; tclsh runs them. It needs neither Redis itself nor a C compiler.
//
// A few lines of the suite are changed before it runs (patches.go says which and why). Each unit gets a new server.
package main
