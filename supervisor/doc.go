// Package supervisor runs actors: it spawns and restarts them and owns their
// goroutines, timers, resources and mailboxes. It knows nothing of peers.
//
// It builds on protoactor-go's actor package and can be used without the rest
// of Gamelan, wherever goroutines that belong together should be started,
// restarted and stopped together. An actor is any protoactor [actor.Actor]. A
// [Spec] describes it, [Spawn] spawns it below another actor, and [Start] makes
// the [Root] of a tree.
//
// # What an actor may rely on
//
//   - One message at a time, on no fixed goroutine. The mailbox has no upper
//     bound; it never refuses, blocks, drops or spins. A sender outside the tree
//     must hold something that bounds its messages, such as a credit.
//   - A panic ends the incarnation, never the process. The parent's [Policy]
//     decides what follows. Messages that wait in the mailbox survive a restart,
//     the message in hand does not.
//   - [Go] and [Do] run blocking work beside the actor and report with a
//     message; [At], [After] and [Every] are timers; [Subscribe] delivers events.
//     All of them end with the incarnation that asked for them, and their
//     messages never reach a later incarnation.
//   - A closer given to [Own], to [Go] or to a [Handover] is closed exactly once,
//     however the incarnation, the actor or the tree ends.
//   - A panic on an [Attributed] message, one whose content an outsider chose,
//     is contained: it is counted and reported, and the same incarnation goes on.
//     [OnPanic] has other policies for actors that run other people's code.
//
// # What an actor must not do
//
// It never waits: no channel receive, no future, no lock held over a send. A
// blocked actor can neither be restarted nor stopped; after ten seconds
// [Root.Snapshot] shows it as stuck, and [Root.Stop] names it in a
// [*StuckError]. Functions that take an [actor.Context] are called in the
// actor's own turn only.
//
// # Ownership
//
// A message that owns something is a [Discarder]. Discard is called when
// no actor will finish the message: it was left in a mailbox, sent to
// a dead actor, meant for an older incarnation, or in hand during a panic. A
// [Handover] carries one closer with one owner through any number of mailboxes.
//
// # Tests
//
// Everything works inside a testing/synctest bubble: time is virtual, and the
// goroutines that the package keeps for the next turn of an actor end when the tree
// has been idle for half a minute, or is stopped. A dead letter leaves one
// goroutine of protoactor behind for a second, so a bubble should end with a
// two-second sleep. A [Seeded] runtime runs whole trees on one goroutine, with
// one history for each seed.
package supervisor
