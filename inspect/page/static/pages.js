// The pages, in the order of the keys 1 to 9 and 0.
import * as overview from './overview.js'
import * as tree from './tree.js'
import * as actor from './actor.js'
import { peers, peer } from './peers.js'
import * as connections from './connections.js'
import * as network from './network.js'
import { messages, message } from './messages.js'
import { sections, section } from './sections.js'
import * as events from './events.js'
import * as doctor from './doctor.js'

export const pages = { overview, tree, actor, peers, peer, connections, network, messages, message, sections, section, events, doctor }
export const shown = ['overview', 'tree', 'peers', 'connections', 'network', 'messages', 'events', 'doctor', 'sections']
