export type CandidatePolicy = 'loopback' | 'all';

/**
 * Which of a connection's candidates the other side learns. `loopback`: media stays on this machine; loopback candidates go out at
 * once, all others wait, and are used only when gathering ends without a single loopback one (a desktop browser without
 * `--allow-loopback-in-peer-connection`; its LAN addresses are the same machine, since signalling serves loopback only). `all`:
 * others are in other containers, where this machine's loopback is not theirs.
 */
export class Candidates {
  #foundLoopback = false;
  #others: RTCIceCandidateInit[] = [];
  readonly #policy: CandidatePolicy;
  readonly #send: (candidate: RTCIceCandidateInit) => void;

  constructor(policy: CandidatePolicy, send: (candidate: RTCIceCandidateInit) => void) {
    this.#policy = policy;
    this.#send = send;
  }

  /** For `RTCPeerConnection.onicecandidate`; null or an empty candidate means that gathering has ended. */
  add(candidate: RTCIceCandidate | null): void {
    if (!candidate || candidate.candidate === '') {
      if (!this.#foundLoopback) for (const other of this.#others) this.#send(other);
      this.#others = [];
    } else if (this.#policy === 'all' || isLoopback(candidate.candidate)) {
      this.#foundLoopback = true;
      this.#send(candidate.toJSON());
    } else this.#others.push(candidate.toJSON());
  }
}

function isLoopback(line: string): boolean {
  const address = line.split(' ')[4] ?? '';
  return address.startsWith('127.') || address === '::1';
}
