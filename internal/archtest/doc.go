// Package archtest holds no code, only the tests that keep the repository in shape: which package may import which,
// which modules may be linked, what every file and exported name owes its reader, and that documents tell the truth
// about files. A rule is changed here, in the same commit as the code that needs it.
package archtest
