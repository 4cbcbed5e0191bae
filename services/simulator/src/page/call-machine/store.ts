/**
 * The state that daily-js reads, synchronously, through `callMachine.store.getState()` while it handles our participant
 * messages: the only way a remote or local track reaches it. One mutable object, changed before the message is posted.
 */
export type Subscribed = boolean | 'staged';

export type SubscribedTags = {
  'cam-video': Subscribed;
  'cam-audio': Subscribed;
  'screen-video': Subscribed;
  'screen-audio': Subscribed;
  custom: Subscribed | Record<string, Subscribed>;
};

export type RemoteStream = { participantId: string; type: string; pendingTrack: MediaStreamTrack; starttime: Date };

export type MachineState = {
  local: {
    public: {
      id: string;
      subscribedTracks: Record<string, Subscribed | SubscribedTags> & { ALL: Subscribed };
      customTracks: Record<string, { track: MediaStreamTrack; kind: 'audio' | 'video' }>;
    };
    streams: { cam: { stream: MediaStream }; screen: { stream: MediaStream } };
  };
  participants: Record<string, { public: Record<string, never>; private: Record<string, never> }>;
  streams: Record<string, RemoteStream>;
};

export function emptyState(): MachineState {
  return {
    local: {
      public: { id: '', subscribedTracks: { ALL: true }, customTracks: {} },
      streams: { cam: { stream: new MediaStream() }, screen: { stream: new MediaStream() } },
    },
    participants: {},
    streams: {},
  };
}

/** Where daily-js looks for the track that our wire calls `key`. */
export function streamType(key: string): string {
  if (key === 'video' || key === 'audio') return 'cam';
  if (key === 'screenVideo' || key === 'screenAudio') return 'screen';
  return key;
}
