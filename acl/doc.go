// Package acl holds who may do what: users with their passwords, commands, keys and channels, by the rules of Redis.
//
// A User is never changed once it is made: Apply makes another one. So whoever holds one can ask it without a lock, and what it
// answers is the rights at one moment. Users holds the present ones by name; an Entry is one name's place in it, and what a
// session keeps, so that a change of rights holds from its next command on.
//
// A user is kept and shown as the text of its rules (User.Rules), which Parse reads back. It holds passwords only as SHA-256,
// in 64 hexadecimal digits, as Redis's ACL files do.
//
// Where Redis's versions differ, this is version 7.2: the rules about commands are kept in the order in which they were given.
package acl
