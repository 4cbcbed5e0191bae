/**
 * The page's peer connections, remembered from the moment they are made: daily-js hides them, and only they know what was
 * decoded. Weak references: a closed connection is the machine's to forget.
 */
const made = new Set<WeakRef<RTCPeerConnection>>();

/** Is told of each receiver of pictures in the turn in which its track appears: later a transform would be ignored without a word (observed). */
let onVideoReceiver: (receiver: RTCRtpReceiver) => void = () => undefined;

/** `listener` replaces the one before. */
export function eachVideoReceiver(listener: (receiver: RTCRtpReceiver) => void): void {
  onVideoReceiver = listener;
}

/** From now on every connection made in this page is remembered. */
export function rememberConnections(): void {
  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      made.add(new WeakRef(this));
      this.addEventListener('track', ({ receiver, track }) => {
        if (track.kind === 'video') onVideoReceiver(receiver);
      });
    }
  };
}

/** Every peer connection that is still open. */
export function openConnections(): RTCPeerConnection[] {
  const open: RTCPeerConnection[] = [];
  for (const reference of made) {
    const connection = reference.deref();
    if (connection === undefined || connection.connectionState === 'closed') made.delete(reference);
    else open.push(connection);
  }
  return open;
}

/** The receiver of a remote track, if one of our connections has it. */
export function receiverOf(track: MediaStreamTrack): RTCRtpReceiver | undefined {
  for (const connection of openConnections()) {
    const receiver = connection
      .getReceivers()
      .find((candidate) => candidate.track === track || candidate.track.id === track.id);
    if (receiver) return receiver;
  }
  return undefined;
}

/** Senders that carry video. */
export function videoSenders(): RTCRtpSender[] {
  return openConnections().flatMap((connection) =>
    connection.getSenders().filter((sender) => sender.track?.kind === 'video'),
  );
}
