// Package machines tests nodes on machines: the gamelan program in network namespaces, with
// routers, cables and an internet between them (package bed). The tests run with
// GAMELAN_MACHINES=1 as root on Linux; then what they lack is a failure. Without it one test is
// skipped and says what to do.
package machines
