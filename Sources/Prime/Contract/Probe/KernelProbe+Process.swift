internal import CProbe
internal import Glibc
package import Prime
package import PrimeProcesses

/// The two ends of a socket between a statement's process and its child.
package struct ProbeSocketPair: Hashable, ProbeValue {
  package let mine: CInt
  package let theirs: CInt

  package static var neutral: ProbeSocketPair { ProbeSocketPair(mine: -1, theirs: -1) }
  package var distorted: ProbeSocketPair { .neutral }
  package var shown: String { "\(mine), \(theirs)" }
}

extension KernelProbe {
  /// `socketpair(2)`: two ends for packets, close-on-exec.
  package func socketPair() -> CallResult<ProbeSocketPair> {
    let made: CallResult<ProbeSocketPair> = call("socketpair", "AF_UNIX, SOCK_SEQPACKET") {
      LinuxKernel.socketPair().map { mine, theirs in
        adopt(mine)
        adopt(theirs)
        return ProbeSocketPair(mine: mine, theirs: theirs)
      }
    }
    return made
  }

  /// `sendmsg(2)` of one descriptor (`SCM_RIGHTS`); the sender's own stays open.
  package func send(_ descriptor: CInt, through socket: CInt) -> CallResult<Int> {
    call("sendmsg", "\(socket), SCM_RIGHTS \(descriptor)") {
      LinuxKernel().sendDescriptor(descriptor, through: socket).map { 0 }
    }
  }

  /// `recvmsg(2)` of one descriptor (`SCM_RIGHTS`), close-on-exec; -1 where a message came that has not exactly one.
  ///
  /// `EAGAIN` where none came within the time.
  package func receiveDescriptor(from socket: CInt, milliseconds: Int32) -> CallResult<CInt> {
    adopting(
      call("recvmsg", "\(socket), SCM_RIGHTS") {
        unrecorded.poll(socket, events: Int16(POLLIN), milliseconds: milliseconds).flatMap { _ in
          unrecorded.socketReceive(socket, room: 1).map { message in
            if message.descriptors.count == 1, !message.lacksDescriptors { return message.descriptors[0] }
            message.descriptors.forEach(unrecorded.close)
            return -1
          }
        }
      })
  }

  /// All that a child told until it ended; `ETIMEDOUT` where it has not by then, and it is ended.
  package func words(of child: ChildProcess, within limit: Duration) -> CallResult<[UInt8]> {
    call("read", "what process \(child.identifier) tells") {
      let deadline = Deadline(in: limit)
      var words: [UInt8] = []
      while deadline.remaining > .zero {
        guard !Readiness.wait(for: [child.output], within: deadline.remaining).isEmpty else { continue }
        let more = Readiness.read(child.output)
        if more.isEmpty {
          _ = child.reap(within: deadline.remaining)
          return .success(words)
        }
        words += more
      }
      child.kill()
      _ = child.reap(within: .seconds(1))
      return .failure(.timedOut)
    }
  }

  /// `delete_module(2)` with `O_NONBLOCK` and never with `O_TRUNC`, so that the kernel refuses where it is in use.
  package func unloadModule(_ name: String) -> CallResult<Int> {
    call("delete_module", "\(name), O_NONBLOCK") {
      // Safe: the name is copied for the call.
      unsafe name.withCString { text in
        Self.system(SYS_delete_module, Int64(Int(bitPattern: text)), Int64(O_NONBLOCK)).map(Int.init)
      }
    }
  }
}
