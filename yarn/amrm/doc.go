// Package amrm is an application master's side of YARN's
// ApplicationMasterProtocol: it registers, asks for containers and hears of
// their end.
//
//	Client   one call, one method, on one connection; no retries
//	Session  the heartbeat: registers, keeps the books, repeats, fails over
//
// The owner declares with Session.SetWants how many containers of each kind it
// still wants; the session's books (a deterministic core without clock, network
// or goroutine) turn that into the absolute asks that YARN expects, send only
// what changed, cut counts as containers come, and release at once what comes
// beyond. After a restart or failover of the YARN ResourceManager the session
// registers again and resends everything that is outstanding. What happens is
// reported as an Event.
//
// Session.Run is the only goroutine that touches the books and the client; the
// caller starts it and waits for it. The other methods of Session only leave a
// message for it and may be called from anywhere. NodeManagers are package nm's
// subject: starting a container takes tens of milliseconds and must never hold
// up a heartbeat.
package amrm
