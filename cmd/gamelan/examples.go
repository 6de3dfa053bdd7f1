package main

// example is a command line that shows what a verb is for. The line can be pasted into a shell.
// In it bob and carol are names of peers, and KEY and ADDRESS stand for those of a node.
type example struct{ about, line string }

// examples are those of gamelan and each of its verbs, by its path. The help and the manual
// show them.
var examples = map[string][]example{
	"gamelan": {
		{"See three nodes at work, and two crashes", "gamelan demo"},
		{"Run a node; the first start makes its key", "gamelan node --data-dir bob"},
		{"Send it a message through a node of your own", `gamelan send "$(gamelan id --address --data-dir bob)" hello`},
	},
	"gamelan init": {
		{"Make a key before the first start of the node", "gamelan init"},
		{"Make one for another network, in a directory of its own", "gamelan init --network nextnet --data-dir ~/nextnet"},
	},
	"gamelan id": {
		{"Show the key, and the addresses of the node", "gamelan id"},
		{"Write one line for others: KEY::ADDRESS", "gamelan id --address"},
		{"Connect a node on this machine to another one", `gamelan dial --data-dir ann "$(gamelan id --address --data-dir bob)"`},
	},
	"gamelan node": {
		{"Run a node that only programs on this machine can reach", "gamelan node --data-dir bob"},
		{"Run one that other machines can reach, and that knows a first peer", "gamelan node --listen /ip4/0.0.0.0/tcp/18189 --peer KEY::ADDRESS"},
		{"Run one through Tor alone", "gamelan node --tor"},
	},
	"gamelan seed": {
		{"Run a seed for nodes on this machine", "gamelan seed --data-dir seed"},
		{"Run one for other machines", "gamelan seed --listen /ip4/0.0.0.0/tcp/18189"},
		{"Behind a router, tell others the address of the router", "gamelan seed --public-address /dns4/node.example.org/tcp/18189"},
	},
	"gamelan status": {
		{"Is the node connected, and if not, why?", "gamelan status"},
		{"The same for a program", "gamelan status --json"},
	},
	"gamelan doctor": {
		{"What is wrong with the node?", "gamelan doctor"},
		{"Why is bob not connected?", "gamelan doctor bob"},
		{"Who answers at an address?", "gamelan doctor /ip4/203.0.113.7/tcp/18189"},
	},
	"gamelan events": {
		{"What happened last?", "gamelan events"},
		{"What happened at 03:12?", "gamelan events --from 03:00 --to 03:20"},
		{"Watch what happens with bob", "gamelan events --follow --peer bob"},
	},
	"gamelan actors": {
		{"Start an actor anew that hangs on something old", "gamelan actors restart discovery/netsync"},
		{"Stop an actor of the program", "gamelan actors stop extensions/clumsy"},
	},
	"gamelan actors restart": {
		{"Start an actor anew", "gamelan actors restart discovery/netsync"},
		{"Start the whole DHT anew", "gamelan actors restart node/dht"},
	},
	"gamelan actors stop": {
		{"End a session with a peer; the node opens another one when it needs it", "gamelan actors stop node/services/messaging/bob"},
		{"Stop an actor of the program", "gamelan actors stop extensions/clumsy"},
	},
	"gamelan log": {
		{"What is logged?", "gamelan log level"},
		{"Log everything that one package says", "gamelan log level connections=debug"},
	},
	"gamelan log level": {
		{"What is logged?", "gamelan log level"},
		{"Log everything that one package says, and of others only warnings", "gamelan log level warn connections=debug"},
		{"Go back to the settings", "gamelan log level --reset"},
	},
	"gamelan drain": {
		{"Before an upgrade: finish what is under way, then stop", "gamelan drain --stop"},
		{"Connect to others again", "gamelan drain --off"},
	},
	"gamelan ui": {
		{"Look at the node in a browser", "gamelan ui"},
		{"Write the address of the page, which changes nothing", "gamelan ui --read-only --no-browser"},
		{"Look at a node on another machine", "gamelan ui --token-file carol.token"},
	},
	"gamelan token": {
		{"Write a file for another machine, where it replaces --data-dir: gamelan --token-file carol.token status", "gamelan token --output carol.token"},
		{"Write one for a program that only looks", "gamelan token --read-only --output watch.token"},
	},
	"gamelan report": {
		{"What would be in a report?", "gamelan report --list"},
		{"Write one for those who help", "gamelan report"},
		{"Of the node of a service, into a file", "gamelan report --data-dir /var/lib/gamelan --output report.zip"},
	},
	"gamelan top": {
		{"Which actors are busy?", "gamelan top"},
		{"Which peers send and receive most?", "gamelan top peers"},
	},
	"gamelan top actors": {
		{"Which actors are busy?", "gamelan top actors"},
		{"Which have the longest queues? Once, for a program", "gamelan top --sort queue --count 1 --json"},
	},
	"gamelan top peers": {
		{"Which peers send and receive most?", "gamelan top peers"},
		{"For which do most messages wait?", "gamelan top peers --sort queue"},
	},
	"gamelan top conns": {
		{"Which connections are busy?", "gamelan top conns"},
		{"Which have carried most? Once, for a program", "gamelan top conns --sort bytes --count 1 --json"},
	},
	"gamelan trace": {
		{"What passes through an actor?", "gamelan trace actor conns"},
		{"What happens with bob, for five minutes?", "gamelan trace peer bob --for 5m"},
	},
	"gamelan trace actor": {
		{"Which messages does an actor handle?", "gamelan trace actor services/rpc"},
		{"Its 1,000 next ones, as lines of JSON", "gamelan trace actor conns --limit 1000 --for 5m --json"},
	},
	"gamelan trace peer": {
		{"What happens with bob now?", "gamelan trace peer bob"},
		{"For longer", "gamelan trace peer bob --for 5m --limit 1000"},
	},
	"gamelan trace message": {
		{"What becomes of a message with this tag?", "gamelan trace message 2a --for 1m"},
		{"The same, for a program", "gamelan trace message 2a --for 1m --json | jq -r .what"},
	},
	"gamelan failures": {
		{"What has failed, and where?", "gamelan failures"},
		{"Which actors have failed, for a program?", "gamelan failures --json | jq -r .actor"},
	},
	"gamelan deadletters": {
		{"Which messages have reached nobody?", "gamelan deadletters"},
		{"Their types, counted", "gamelan deadletters --json | jq -r .message_type | sort | uniq -c"},
	},
	"gamelan health": {
		{"Check the node; the exit code is 1 if it does not work", "gamelan health"},
		{"In a script that restarts a node", "gamelan health --timeout 10s --data-dir /var/lib/gamelan"},
	},
	"gamelan send": {
		{"Send a message to the peer that you have named bob", "gamelan send bob hello"},
		{"Leave it a message while it is away", "gamelan send --to bob --store hello"},
		{"Send each line of a log, and wait for bob while it is away", "tail -f app.log | gamelan send --retry bob"},
	},
	"gamelan listen": {
		{"Show messages until Ctrl-C", "gamelan listen"},
		{"Receive one file", "gamelan listen --raw --count 1 > photo.jpg"},
		{"Hand every message to a program, as JSON", "gamelan listen --json | jq -r .text"},
	},
	"gamelan messages": {
		{"List the messages over the DHT that were sent last", "gamelan messages"},
		{"List those to bob that have failed", "gamelan messages --failed --peer bob"},
	},
	"gamelan message": {
		{"Show how a message ended, by the first digits of its tag", "gamelan message 5f1d03"},
		{"The same for a program", "gamelan message 5f1d03 --json"},
	},
	"gamelan dht": {
		{"Show what the node has received, sent and relayed", "gamelan dht"},
		{"The same for a program", "gamelan dht --json"},
	},
	"gamelan network": {
		{"Has the node found its network?", "gamelan network"},
		{"Make a private network; the command says what to do next", "gamelan network create acme"},
		{"Ask other nodes now for the peers that they know", "gamelan network sync"},
	},
	"gamelan network status": {
		{"Has the node found its network?", "gamelan network status"},
		{"The same for a program", "gamelan network status --json"},
	},
	"gamelan network create": {
		{"Make a private network, in the file acme.network", "gamelan network create acme"},
		{"Write its file where a service finds it", "gamelan network create acme --file /etc/gamelan/acme.network"},
	},
	"gamelan network add": {
		{"Put the line of the node on this machine into the file", `gamelan network add acme.network "$(gamelan id --address)"`},
		{"Take a seed out of it", "gamelan network add --remove acme.network KEY"},
	},
	"gamelan network rotate": {
		{"Let nodes accept a new secret; then copy the file to all of them", "gamelan network rotate begin acme.network"},
		{"When all accept it, let them use it; end gives the old one up", "gamelan network rotate switch acme.network"},
		{"Cut off somebody who has the secret, and each machine without the new file", "gamelan network rotate now acme.network"},
	},
	"gamelan network file": {
		{"Compare the files of two machines", "gamelan network file acme.network"},
		{"The same for a program", "gamelan network file acme.network --json"},
	},
	"gamelan network sync": {
		{"Ask other nodes now for the peers that they know", "gamelan network sync"},
		{"The same, then look at the result", "gamelan network sync && gamelan peers"},
	},
	"gamelan inbox": {
		{"Which messages could not be handled?", "gamelan inbox"},
		{"Hand all of them out again", "gamelan inbox retry --all"},
	},
	"gamelan inbox dead": {
		{"Which messages could not be handled?", "gamelan inbox dead"},
		{"The same for a program", "gamelan inbox dead --json"},
	},
	"gamelan inbox retry": {
		{"Hand out two messages again", "gamelan inbox retry 17 19"},
		{"Hand out all that are on the shelf", "gamelan inbox retry --all"},
	},
	"gamelan inbox drop": {
		{"Delete a message", "gamelan inbox drop 17"},
		{"Delete all that are on the shelf", "gamelan inbox drop --all --yes"},
	},
	"gamelan saf": {
		{"What is stored for others, and who was asked for this node's messages?", "gamelan saf"},
		{"Ask for this node's messages now", "gamelan saf fetch"},
	},
	"gamelan saf status": {
		{"What is stored for others, and who was asked for this node's messages?", "gamelan saf status"},
		{"The same for a program", "gamelan saf status --json"},
	},
	"gamelan saf fetch": {
		{"Ask the connected nodes that may store messages", "gamelan saf fetch"},
		{"Ask one node", "gamelan saf fetch bob"},
	},
	"gamelan saf purge": {
		{"Delete what this node stores for carol", "gamelan saf purge --to carol"},
		{"Delete what it stores for everybody", "gamelan saf purge --all --yes"},
	},
	"gamelan kad": {
		{"Publish a value; the node must run with --kad", "gamelan kad put hello"},
		{"Find a value by the key that put has printed", "gamelan kad get KEY"},
		{"Show the state of the key-value DHT", "gamelan kad"},
	},
	"gamelan kad status": {
		{"Show contacts and stored values", "gamelan kad status"},
		{"List what this node publishes", "gamelan kad status --own"},
	},
	"gamelan kad peers": {
		{"List the contacts", "gamelan kad peers"},
		{"Count them by distance", "gamelan kad peers --buckets"},
	},
	"gamelan kad connect": {
		{"Enter the network through a node", "gamelan kad connect KEY::ADDRESS"},
		{"Through a node on this machine", `gamelan kad connect "$(gamelan id --address --data-dir bob)"`},
	},
	"gamelan kad put": {
		{"Publish a text; its key is printed", "gamelan kad put hello"},
		{"Publish a file that can be replaced later by the owner of key.pem", "gamelan kad put --sign key.pem --salt config @config.json"},
		{"Delete that value", "gamelan kad put --sign key.pem --salt config --delete"},
	},
	"gamelan kad get": {
		{"Write a value to a file", "gamelan kad get KEY > value"},
		{"Accept what was confirmed within the last hour", "gamelan kad get --max-stale 1h KEY"},
	},
	"gamelan kad forget": {
		{"Publish a value no longer", "gamelan kad forget KEY"},
		{"See what is still published", "gamelan kad forget KEY && gamelan kad status --own"},
	},
	"gamelan kad trace": {
		{"Watch the search for a value", "gamelan kad trace get KEY"},
		{"Watch the search for the nodes nearest to an id", "gamelan kad trace find KEY"},
	},
	"gamelan join": {
		{"Announce the node, for instance after its address has changed", "gamelan join"},
		{"The same for a program", "gamelan join --json"},
	},
	"gamelan discover": {
		{"Find the address of a node whose key you have", "gamelan discover KEY"},
		{"Give up after ten seconds", "gamelan discover --timeout 10s KEY"},
	},
	"gamelan peers": {
		{"List the peers that the node knows", "gamelan peers"},
		{"Give a peer a name, for use in its place", "gamelan peers name KEY::ADDRESS bob"},
		{"Forget it", "gamelan peers forget bob"},
	},
	"gamelan peers list": {
		{"List the peers that the node knows", "gamelan peers list"},
		{"List those that could not be reached", "gamelan peers list --failed"},
	},
	"gamelan peers add": {
		{"Tell the node where a peer is", "gamelan peers add KEY::ADDRESS"},
		{"Tell it of a node on this machine", `gamelan peers add "$(gamelan id --address --data-dir bob)"`},
	},
	"gamelan peers forget": {
		{"Forget a peer by its name", "gamelan peers forget bob"},
		{"Forget two by the first digits of their keys", "gamelan peers forget 9c01d2 2f996b"},
	},
	"gamelan peers name": {
		{"Name a peer, and tell the node where it is", "gamelan peers name KEY::ADDRESS bob"},
		{"Give the name to another peer", "gamelan peers name --force KEY bob"},
	},
	"gamelan peers unname": {
		{"Remove a name; the node still knows the peer", "gamelan peers unname bob"},
		{"Remove two", "gamelan peers unname bob carol"},
	},
	"gamelan peers names": {
		{"List the names and their keys", "gamelan peers names"},
		{"The same for a program", "gamelan peers names --json"},
	},
	"gamelan peers admit": {
		{"Let a node in that admits listed peers alone", "gamelan peers admit KEY"},
		{"See who knocks, and let bob in", "gamelan peers admitted && gamelan peers admit bob"},
	},
	"gamelan peers unadmit": {
		{"Refuse bob from now on, and close his connection", "gamelan peers unadmit bob"},
		{"Refuse two", "gamelan peers unadmit bob carol"},
	},
	"gamelan peers admitted": {
		{"List who is admitted, and who was refused lately", "gamelan peers admitted"},
		{"The same for a program", "gamelan peers admitted --json"},
	},
	"gamelan peers export": {
		{"Write all peers to a file", "gamelan peers export peers.json"},
		{"Copy them to another node", "gamelan peers export | gamelan peers import --data-dir ann -"},
	},
	"gamelan peers import": {
		{"Add the peers of a file", "gamelan peers import peers.json"},
		{"Copy those of another node", "gamelan peers export --data-dir ann | gamelan peers import -"},
	},
	"gamelan conns": {
		{"List the connections, and what keeps them open", "gamelan conns"},
		{"List those that have ended last, and why", "gamelan conns --closed"},
	},
	"gamelan dial": {
		{"Connect to a peer that the node knows", "gamelan dial bob"},
		{"Connect to a new one", "gamelan dial KEY::ADDRESS"},
	},
	"gamelan ping": {
		{"Measure the round trip to a peer", "gamelan ping bob"},
		{"Measure it once a minute until Ctrl-C", "gamelan ping --count 0 --interval 1m bob"},
	},
	"gamelan disconnect": {
		{"Close the connection to a peer", "gamelan disconnect bob"},
		{"Close two", "gamelan disconnect bob carol"},
	},
	"gamelan ban": {
		{"Refuse connections with a peer for two hours", "gamelan ban bob"},
		{"Refuse them for a week, and say why", `gamelan ban --for 168h --reason "sends junk" bob`},
	},
	"gamelan unban": {
		{"Lift a ban", "gamelan unban bob"},
		{"Lift one, then connect", "gamelan unban bob && gamelan dial bob"},
	},
	"gamelan why": {
		{"Why is the node not connected to bob?", "gamelan why bob"},
		{"What is an actor doing?", "gamelan why node/conns"},
		{"Where is it in the code?", "gamelan why --stacks node/conns"},
	},
	"gamelan store": {
		{"Examine the store of a node that does not run", "gamelan store check"},
		{"Examine that of a service", "gamelan store check --data-dir /var/lib/gamelan"},
	},
	"gamelan store check": {
		{"Examine the store of a node that does not run", "gamelan store check"},
		{"Examine that of a service", "gamelan store check --data-dir /var/lib/gamelan"},
	},
	"gamelan show": {
		{"Show a section that has no command of its own, such as that of a program's part", "gamelan show presence"},
		{"The same for a program", "gamelan show presence --json"},
	},
	"gamelan do": {
		{"Have a program's part do something", "gamelan do presence set status=away"},
		{"Its answer for a program", "gamelan do presence set status=away --json"},
	},
	"gamelan tree": {
		{"Show the actors of the node", "gamelan tree"},
		{"Watch those of its connections", "gamelan tree --watch node/conns"},
		{"Draw them with Graphviz", "gamelan tree --format dot | dot -Tsvg > tree.svg"},
	},
	"gamelan config": {
		{"Write a file with every setting, to be changed", "gamelan config init"},
		{"Show all values, and where each comes from", "gamelan config show"},
		{"Explain one setting", "gamelan config explain node.listen"},
	},
	"gamelan config init": {
		{"Write the file that all commands read", "gamelan config init"},
		{"Write the file of a service", "gamelan config init /etc/gamelan/gamelan.toml"},
	},
	"gamelan config check": {
		{"Check the settings that a node would use", "gamelan config check"},
		{"Check a file before it is installed", "gamelan config check gamelan.toml"},
	},
	"gamelan config show": {
		{"Show all values, and where each comes from", "gamelan config show"},
		{"Show those of the running node", "gamelan config show --running"},
		{"See what a flag of gamelan node would change", "gamelan config show --listen /ip4/0.0.0.0/tcp/18189"},
	},
	"gamelan config explain": {
		{"Explain a setting", "gamelan config explain node.listen"},
		{"Explain all settings of a section", "gamelan config explain inbox"},
	},
	"gamelan interop": {
		{"Check a node of any program, which must be one for tests", "gamelan interop --target KEY::ADDRESS"},
		{"Check one on this machine", `gamelan interop --target "$(gamelan id --address --data-dir test)"`},
		{"Run some of the checks", "gamelan interop --only noise,mux.ping --target KEY::ADDRESS"},
	},
	"gamelan demo": {
		{"See three nodes at work, and two crashes", "gamelan demo"},
		{"Send more messages", "gamelan demo --messages 100000"},
	},
	"gamelan completion": {
		{"Complete commands in this bash", "source <(gamelan completion bash)"},
		{"Complete them in every fish", "gamelan completion fish > ~/.config/fish/completions/gamelan.fish"},
	},
	"gamelan man": {
		{"Read the manual", "gamelan man > gamelan.1 && man ./gamelan.1"},
		{"Write both pages, of the commands and of the settings", "gamelan man --dir /tmp"},
	},
	"gamelan version": {
		{"Show the version", "gamelan version"},
		{"The same for a program", "gamelan version --json"},
	},
}
