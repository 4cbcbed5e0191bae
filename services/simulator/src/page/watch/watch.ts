/**
 * Joins a room as a guest and shows what a user gets. Everything the page learns is also in `document.body.dataset`
 * (state, participants, fps, width, height, speaking, listening, hasVideo, stage), which is what tests read.
 */
import { createCallObject, type DailyParticipant } from '../daily.ts';
import { Loudness } from './loudness.ts';
import { chooseStage } from './stage.ts';

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page lacks #${id}`);
  return found;
}

const picture = element('picture', HTMLVideoElement);
const listen = element('listen', HTMLButtonElement);
const data = document.body.dataset;
const url = data['roomUrl'] ?? '';
const loudness = new Loudness((speaking) => (data['speaking'] = String(speaking)));
const players = new Map<string, HTMLAudioElement>();
let frames = 0;

const call = createCallObject({
  dailyConfig: { bundlePathOverride: `${location.origin}/daily`, avoidEval: true },
  videoSource: false,
  audioSource: false,
});
for (const event of ['joined-meeting', 'participant-joined', 'participant-updated', 'participant-left'] as const)
  call.on(event, show);
call.on('network-connection', ({ event }) => state(event === 'interrupted' ? 'reconnecting' : 'joined'));
call.on('error', ({ errorMsg }) => state('error', errorMsg));
call.on('left-meeting', () => data['state'] !== 'error' && state('left'));

listen.addEventListener('click', () => void hear());
picture.requestVideoFrameCallback(countFrame);
setInterval(showFigures, 1000);
element('room', HTMLElement).textContent = url.split('/').at(-1) ?? '';

void join();

async function join(): Promise<void> {
  try {
    await call.join({ url, userName: 'Guest' });
    state('joined');
  } catch {
    // The `error` event said why; a rejected join without one is a page that could not load its call.
    if (data['state'] !== 'error') state('error', 'could not join');
  }
}

function show(): void {
  const everyone = Object.values(call.participants());
  const remote = everyone.filter((participant) => !participant.local);
  data['participants'] = String(everyone.length);
  element('people', HTMLUListElement).replaceChildren(...everyone.map(chip));
  const stage = chooseStage(remote);
  data['stage'] = stage?.user_name ?? '';
  element('name', HTMLElement).textContent = stage?.user_name ?? '';
  play(picture, stage?.tracks.video.state === 'playable' ? stage.tracks.video.persistentTrack : undefined);
  data['hasVideo'] = String(picture.srcObject !== null);
  playSounds(remote);
}

/** Everybody's sound, custom tracks left out: those are for the avatar's ear. */
function playSounds(remote: readonly DailyParticipant[]): void {
  const tracks = new Map(
    remote.flatMap(({ session_id: id, tracks: { audio } }) =>
      audio.state === 'playable' && audio.persistentTrack ? [[id, audio.persistentTrack] as const] : [],
    ),
  );
  for (const [id, player] of players) {
    if (tracks.has(id)) continue;
    player.srcObject = null;
    players.delete(id);
  }
  for (const [id, track] of tracks) {
    const player = players.get(id) ?? new Audio();
    players.set(id, player);
    play(player, track);
    player.muted = data['listening'] !== 'true';
  }
  loudness.watch([...tracks.values()]);
  if (tracks.size > 0 && data['listening'] === undefined) void hear();
}

/** Browsers let a page make sound after a gesture only; where it is allowed at once, the button never shows. */
async function hear(): Promise<void> {
  for (const player of players.values()) player.muted = false;
  const results = await Promise.allSettled([
    loudness.resume(),
    ...[...players.values()].map((player) => player.play()),
  ]);
  const isAllowed = results.every((result) => result.status === 'fulfilled');
  if (!isAllowed) for (const player of players.values()) player.muted = true;
  data['listening'] = String(isAllowed);
  listen.hidden = isAllowed;
}

function play(player: HTMLMediaElement, track: MediaStreamTrack | undefined): void {
  const shown = player.srcObject instanceof MediaStream ? player.srcObject.getTracks()[0] : undefined;
  if (shown === track) return;
  player.srcObject = track ? new MediaStream([track]) : null;
  if (track) player.play().catch(() => (listen.hidden = false));
}

function chip(participant: DailyParticipant): HTMLLIElement {
  const item = document.createElement('li');
  item.textContent = participant.local ? `${participant.user_name} (you)` : participant.user_name;
  return item;
}

function countFrame(): void {
  frames += 1;
  picture.requestVideoFrameCallback(countFrame);
}

function showFigures(): void {
  data['fps'] = String(frames);
  frames = 0;
  data['width'] = String(picture.videoWidth);
  data['height'] = String(picture.videoHeight);
  element('figures', HTMLElement).textContent =
    data['hasVideo'] === 'true' ? `${picture.videoWidth}×${picture.videoHeight} · ${data['fps']} fps` : '';
}

function state(name: string, detail = ''): void {
  data['state'] = name;
  const texts: Record<string, string> = { joined: 'Live', reconnecting: 'Reconnecting…', left: 'Left', error: 'Ended' };
  element('state', HTMLElement).textContent = [texts[name] ?? name, detail].filter(Boolean).join(': ');
}
