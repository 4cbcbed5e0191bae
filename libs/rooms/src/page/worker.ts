import { heartbeatMs, leaveAfterMs } from '../limits.ts';
import type { Command, FromNode, FromPage, Identity, WireEvent } from '../wire.ts';
import { ChannelOut } from './channel-out.ts';
import { Gate } from './gate.ts';
import { Listener } from './listener.ts';
import { Pictures } from './pictures.ts';
import type { FromRing, FromWorker, TeeOptions, ToRing, ToWorker } from './ports.ts';
import { UserVoices } from './user-voices.ts';

// The worker's global scope; TypeScript's DOM library types `self` as a window.
const scope = self as unknown as {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent<ToWorker>) => void): void;
  addEventListener(
    type: 'rtctransform',
    listener: (event: Event & { readonly transformer: RTCRtpScriptTransformer }) => void,
  ): void;
};

const tickMs = 100;

/**
 * The session's own thread: owns the socket to our process, moves PCM between it and the audio thread, passes what is received
 * on to the user room and listens to it, and judges whether our process is still there. The main thread only ever hears of commands and ticks.
 */
class SessionWorker {
  #channel: ChannelOut | undefined;
  #ring: MessagePort | undefined;
  #gate: Gate | undefined;
  #listener: Listener | undefined;
  readonly #pictures = new Pictures((picture) => this.#channel?.sendMedia({ kind: 'picture', picture }) ?? false);
  readonly #voices = new UserVoices({
    onPcm: (participantId, pcm, pts) =>
      this.#channel?.sendMedia({ kind: 'user-audio', participantId, pts, pcm: bytesOf(pcm) }),
    onSpeech: (participantId, speaking, at) => this.#event({ type: 'user-speech', participantId, speaking, at }),
  });
  #lastBeatAt = 0;
  #mainAliveAt = performance.now();
  #droppedBytes = 0;
  #identity: Identity | undefined;
  #muted = false;
  #ticks = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #welcomed = false;
  #finished = false;

  receive(message: ToWorker): void {
    switch (message.type) {
      case 'start':
        this.#identity = message.hello.identity;
        return this.#open(message.url, { type: 'hello', token: message.hello.token, identity: message.hello.identity });
      case 'ring':
        this.#ring = message.ring;
        this.#ring.addEventListener('message', (event: MessageEvent<FromRing>) => this.#fromRing(event.data));
        this.#ring.start();
        return this.#beat();
      case 'user-audio':
        this.#gate?.close();
        this.#gate = new Gate(message.writable, !this.#muted);
        return;
      case 'listen':
        this.#listener?.stop();
        this.#listener = new Listener(message.readable, {
          onFrame: (samples, sampleRate) => this.#gate?.pass(samples, sampleRate),
          onSpeech: (speaking, at) => this.#event({ type: 'speech', speaking, at }),
          ...(message.pcm
            ? {
                onPcm: (pcm: Int16Array<ArrayBuffer>, pts: number) =>
                  this.#channel?.sendMedia({ kind: 'audio', pts, pcm: bytesOf(pcm) }),
              }
            : {}),
        });
        return;
      case 'stop-listening':
        this.#listener?.stop();
        this.#listener = undefined;
        return;
      case 'picture-track':
        return this.#pictures.asJpeg(message.readable, message.options);
      case 'picture-receiver':
        return this.#pictures.asReceived(message.receiver, message.maxFps);
      case 'stop-pictures':
        return this.#pictures.stop();
      case 'delays':
        this.#pictures.delays = message.delays;
        return;
      case 'hear-user':
        return this.#voices.listen(message.participantId, message.readable);
      case 'stop-hearing-user':
        return this.#voices.stop(message.participantId);
      case 'mute':
        return this.#mute(message.on);
      case 'hush':
        return this.#hush(message.maxMs);
      case 'reset-ring':
        return this.#toRing({ type: 'reset' });
      case 'main-alive':
        this.#mainAliveAt = performance.now();
        return;
      case 'send':
        return this.#send(message.message);
      case 'finish':
        return this.#finish();
    }
  }

  /** A receiver's pictures pass through this thread from now on. */
  passes(transformer: RTCRtpScriptTransformer): void {
    // Our own main thread set them, see PictureTap.
    const { receiver } = transformer.options as TeeOptions;
    this.#pictures.passes(receiver, transformer);
  }

  #open(url: string, hello: FromPage): void {
    const socket = new WebSocket(url);
    this.#channel = new ChannelOut(socket);
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => socket.send(JSON.stringify(hello)));
    socket.addEventListener('message', (event: MessageEvent<string | ArrayBuffer>) => this.#fromNode(event.data));
    socket.addEventListener('close', () => this.#lost('the channel closed'));
  }

  #fromNode(data: string | ArrayBuffer): void {
    if (typeof data !== 'string') {
      if (this.#ring) this.#ring.postMessage({ type: 'pcm', pcm: data } satisfies ToRing, [data]);
      else this.#droppedBytes += data.byteLength;
      return;
    }
    // Our own process wrote it, on a socket that it authenticated; the types are shared.
    const message = JSON.parse(data) as FromNode;
    if (message.type === 'heartbeat') return this.#beat();
    if (message.type === 'command') return this.#command(message.id, message.identity, message.command);
    if (this.#welcomed) return;
    this.#welcomed = true;
    this.#beat();
    this.#timer = setInterval(() => this.#tick(), tickMs);
    scope.postMessage({ type: 'opened' }, []);
  }

  #command(id: number, identity: Identity, command: Command): void {
    if (identity.conversationId !== this.#identity?.conversationId || identity.epoch !== this.#identity.epoch) {
      return this.#send({
        type: 'answer',
        id,
        ok: false,
        code: 'lease-lost',
        reason: 'The command is of another session.',
      });
    }
    // These do not pass through the main thread: a flush must reach the ring right behind the PCM before it, and all are wanted at once.
    if (command.type === 'flush' && this.#ring) return this.#toRing({ type: 'flush', id });
    if (command.type === 'request-key-frame') {
      this.#pictures.requestKeyFrame();
      return this.#send({ type: 'answer', id, ok: true });
    }
    if (command.type === 'mute-user-room') {
      this.#mute(command.on);
      return this.#send({ type: 'answer', id, ok: true });
    }
    if (command.type === 'raise-epoch') this.#identity = { ...identity, epoch: command.epoch };
    scope.postMessage({ type: 'command', id, command }, []);
  }

  #mute(on: boolean): void {
    this.#muted = on;
    if (this.#gate) this.#gate.open = !on;
  }

  /** Like a mute, but what is being said is let out first. */
  #hush(maxMs: number): void {
    const hushed = (): void => {
      this.#mute(true);
      scope.postMessage({ type: 'hushed' }, []);
    };
    if (this.#gate) this.#gate.closeWhenQuiet(maxMs, hushed);
    else hushed();
  }

  #beat(): void {
    this.#lastBeatAt = performance.now();
    this.#toRing({ type: 'beat' });
    this.#gate?.beat();
    this.#send({
      type: 'alive',
      mainAgeMs: Math.round(performance.now() - this.#mainAliveAt),
      droppedBytes: this.#droppedBytes + (this.#gate?.droppedBytes ?? 0),
    });
  }

  #tick(): void {
    if (performance.now() - this.#lastBeatAt > leaveAfterMs) return this.#lost(`no heartbeat for ${leaveAfterMs} ms`);
    this.#listener?.tick();
    this.#gate?.tick();
    this.#pictures.tick();
    this.#voices.tick();
    this.#ticks += 1;
    const second = this.#ticks % (1_000 / tickMs) === 0;
    if (second) this.#channel?.tellDropped();
    const heartbeatDue = this.#ticks % (heartbeatMs / tickMs) === 0;
    if (second || heartbeatDue)
      scope.postMessage({ type: 'tick', second, audioPeak: second ? (this.#listener?.takePeak() ?? 0) : 0 }, []);
  }

  #fromRing(message: FromRing): void {
    if (message.type === 'flushed')
      this.#send({ type: 'answer', id: message.id, ok: true, result: { playedSamples: message.consumed } });
    else this.#event({ type: 'played', samples: message.consumed, waiting: message.waiting });
  }

  #lost(reason: string): void {
    if (this.#finished) return;
    if (!this.#welcomed) scope.postMessage({ type: 'failed', reason }, []);
    else scope.postMessage({ type: 'abandoned', reason }, []);
    this.#finish();
  }

  #finish(): void {
    this.#finished = true;
    clearInterval(this.#timer);
    this.#toRing({ type: 'reset' });
    this.#listener?.stop();
    this.#gate?.close();
    this.#pictures.stop();
    this.#voices.close();
    this.#channel?.close();
  }

  #event(event: WireEvent): void {
    this.#send({ type: 'event', event });
  }

  #send(message: FromPage): void {
    this.#channel?.send(message);
  }

  #toRing(message: ToRing): void {
    this.#ring?.postMessage(message, []);
  }
}

function bytesOf(pcm: Int16Array<ArrayBuffer>): Uint8Array {
  return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

const worker = new SessionWorker();
scope.addEventListener('rtctransform', ({ transformer }) => worker.passes(transformer));
scope.addEventListener('message', (event) => worker.receive(event.data));
