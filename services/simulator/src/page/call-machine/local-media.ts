import type { WireTrack } from '../../daily/protocol.ts';
import { CUSTOM_TRACK_MARKER, recordOf, stringOf, type SharedTracks } from './daily-js.ts';
import type { MachineState } from './store.ts';

type Kind = 'audio' | 'video';
type Camera = {
  source: 'none' | 'track' | 'device';
  deviceId: string | undefined;
  track: MediaStreamTrack | null;
  allowed: boolean;
  isOn: boolean;
  blocked: string | undefined;
};

export type Publication = { readonly wire: WireTrack; readonly track: MediaStreamTrack | null };

/**
 * The call's own tracks: camera, microphone, screen and custom tracks, whichever the application gave. `videoSource:false`
 * stays off until `setLocalVideo(true)` or a boolean in `setInputDevicesAsync` (our choice: Daily's page code is closed).
 */
export class LocalMedia {
  readonly #state: MachineState['local'];
  readonly #shared: () => SharedTracks;
  readonly #onChange: () => void;
  readonly #cameras: Record<Kind, Camera> = { audio: emptyCamera(), video: emptyCamera() };
  readonly #custom = new Map<string, MediaStreamTrack>();
  #screen: MediaStream | null = null;

  constructor(state: MachineState['local'], shared: () => SharedTracks, onChange: () => void) {
    this.#state = state;
    this.#shared = shared;
    this.#onChange = onChange;
  }

  /** Takes what the application gave to createCallObject, load and join. */
  async configure(properties: Record<string, unknown>, preload: Record<string, unknown>): Promise<void> {
    const input = { ...recordOf(properties['inputSettings']), ...recordOf(preload['inputSettings']) };
    const work = (['audio', 'video'] as const).map((kind) => {
      const camera = this.#cameras[kind];
      const source = properties[`${kind}Source`];
      const allowed = preload[kind === 'audio' ? 'allowLocalAudio' : 'allowLocalVideo'];
      camera.allowed = typeof allowed === 'boolean' ? allowed : source !== false;
      camera.isOn = properties[kind === 'audio' ? 'startAudioOff' : 'startVideoOff'] !== true && camera.allowed;
      const { customTrack, deviceId } = recordOf(recordOf(input[kind])['settings']);
      const id = stringOf(deviceId) ?? stringOf(source);
      if (customTrack === CUSTOM_TRACK_MARKER || source === CUSTOM_TRACK_MARKER)
        return this.setSource(kind, CUSTOM_TRACK_MARKER);
      return camera.isOn || id !== undefined ? this.setSource(kind, id ?? '') : Promise.resolve();
    });
    await Promise.all(work);
  }

  /** `source`: the marker for the shared track, or a device id ('' = any). Reads the shared slot before anything else can. */
  async setSource(kind: Kind, source: string): Promise<void> {
    const camera = this.#cameras[kind];
    const shared = kind === 'audio' ? this.#shared().audioTrack : this.#shared().videoTrack;
    if (source === CUSTOM_TRACK_MARKER) {
      this.#release(camera);
      Object.assign(camera, { source: 'track', track: shared ?? null, blocked: undefined, deviceId: undefined });
    } else {
      this.#release(camera);
      Object.assign(camera, { source: 'device', deviceId: source, track: null });
      if (camera.isOn) await this.#capture(kind);
    }
    this.#changed();
  }

  setAllowed(kind: Kind, allowed: boolean): Promise<void> {
    this.#cameras[kind].allowed = allowed;
    return this.setOn(kind, allowed);
  }

  async setOn(kind: Kind, isOn: boolean): Promise<void> {
    const camera = this.#cameras[kind];
    camera.isOn = isOn;
    if (isOn) camera.allowed = true;
    if (isOn && !camera.track && camera.source !== 'track') await this.#capture(kind);
    this.#changed();
  }

  /** Publishes the shared custom track; the same name again replaces it. Gives the name used. Throws a text for daily-js. */
  startCustom(wantedName: string | undefined): string {
    const track = this.#shared().customTrack;
    if (!track) throw new Error('no track given');
    const prefix = track.kind === 'audio' ? 'customAudio' : 'customVideo';
    let name = wantedName;
    for (let n = 0; name === undefined; n += 1) if (!this.#custom.has(`${prefix}${n}`)) name = `${prefix}${n}`;
    this.#custom.set(name, track);
    this.#changed();
    return name;
  }

  stopCustom(name: string): void {
    this.#custom.delete(name);
    this.#changed();
  }

  setScreen(on: boolean): void {
    this.#screen = on ? (this.#shared().screenMediaStream ?? null) : null;
    this.#changed();
  }

  /** What `getInputDevices` and `setInputDevicesAsync` answer. */
  devices(): { camera: object; mic: object; speaker: object } {
    const idOf = (camera: Camera): object => {
      const deviceId = camera.source === 'device' ? camera.track?.getSettings().deviceId : undefined;
      return deviceId === undefined ? {} : { deviceId };
    };
    return { camera: idOf(this.#cameras.video), mic: idOf(this.#cameras.audio), speaker: {} };
  }

  publications(): Map<string, Publication> {
    const all = new Map<string, Publication>();
    for (const kind of ['audio', 'video'] as const) {
      const { track, isOn, blocked } = this.#cameras[kind];
      const on = isOn && track !== null;
      const wire = { kind, on, ...(isOn && blocked !== undefined ? { blocked } : {}) };
      if (on || isOn || track) all.set(kind, { wire, track: on ? track : null });
    }
    for (const track of this.#screen?.getTracks() ?? []) {
      const kind = kindOf(track);
      all.set(kind === 'video' ? 'screenVideo' : 'screenAudio', { wire: { kind, on: true }, track });
    }
    for (const [name, track] of this.#custom) all.set(name, { wire: { kind: kindOf(track), on: true }, track });
    return all;
  }

  /** Back to nothing; captured devices are released, the application's own tracks are left alone. */
  reset(): void {
    for (const kind of ['audio', 'video'] as const) {
      this.#release(this.#cameras[kind]);
      Object.assign(this.#cameras[kind], emptyCamera());
    }
    this.#custom.clear();
    this.#screen = null;
    this.#mirror();
  }

  async #capture(kind: Kind): Promise<void> {
    const camera = this.#cameras[kind];
    const deviceId = camera.deviceId ? { exact: camera.deviceId } : undefined;
    const constraints = deviceId ? { deviceId } : true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ [kind]: constraints });
      const track = stream.getTracks()[0] ?? null;
      // Meanwhile the application may have given a track of its own or switched off.
      if (camera.source === 'track' || !camera.isOn) return stream.getTracks().forEach((unused) => unused.stop());
      Object.assign(camera, { source: 'device', track, blocked: undefined });
    } catch (error) {
      camera.blocked =
        error instanceof DOMException && error.name === 'NotAllowedError' ? 'byPermissions' : 'byDeviceMissing';
    }
  }

  #release(camera: Camera): void {
    if (camera.source === 'device') camera.track?.stop();
    camera.track = null;
  }

  #changed(): void {
    this.#mirror();
    this.#onChange();
  }

  /** daily-js reads the local tracks from here. */
  #mirror(): void {
    const live = (...tracks: (MediaStreamTrack | null)[]): MediaStream =>
      new MediaStream(tracks.filter((track) => track !== null));
    this.#state.streams.cam.stream = live(this.#cameras.audio.track, this.#cameras.video.track);
    this.#state.streams.screen.stream = this.#screen ?? new MediaStream();
    this.#state.public.customTracks = Object.fromEntries(
      [...this.#custom].map(([name, track]) => [name, { track, kind: kindOf(track) }]),
    );
  }
}

function emptyCamera(): Camera {
  return { source: 'none', deviceId: undefined, track: null, allowed: true, isOn: false, blocked: undefined };
}

function kindOf(track: MediaStreamTrack): Kind {
  return track.kind === 'audio' ? 'audio' : 'video';
}
