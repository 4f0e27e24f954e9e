// Package script compiles and runs Lua scripts the way Redis does: redis.call, KEYS and ARGV, cjson, cmsgpack, struct, bit, and Redis's texts of
// errors. It knows nothing of commands or data: a Host executes what a script calls.
//
// A script can't harm the server:
//   - it reaches no file, no other process and no state that outlives it. Tables that scripts share (_G and the libraries)
//     can't be changed, which is judged before each instruction that stores something;
//   - it is bounded in steps, time and memory. Steps are instructions of the virtual machine, plus the work of library functions.
//     Memory is what the script has allocated, garbage included: every instruction and function that allocates says how much
//     before it does. All scripts of an Engine together are bounded too;
//   - once a limit is passed it can't go on: pcall does not catch that, nor an error of the Host.
//
// The virtual machine is gopher-lua. It asks its context for cancellation before each instruction; the meter is that context.
// So nothing of the machine is copied or changed, save that two of its structures are read by offset (peek.go). Concatenation
// is turned into a call when a script is compiled, to be measured and to write numbers as Lua does. Pattern matching, formatting
// and numbers to text are ours: gopher-lua's differ from Lua's and can't be bounded.
package script
