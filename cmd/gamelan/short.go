package main

// shortHelp is what gamelan writes without arguments.
const shortHelp = `gamelan exchanges messages between nodes, with no server in between.

  gamelan demo                    see three nodes at work, and a crash
  gamelan node --data-dir bob     run a node; the first time it makes its key
  gamelan id --data-dir bob       its key and addresses, for others
  gamelan send KEY::ADDRESS hi    send a message through your running node
  gamelan listen                  write what arrives
  gamelan status                  is the node connected, and if not, why
  gamelan tree                    look inside: the actors of the running node

gamelan --help lists all commands, gamelan COMMAND --help explains one.
`
