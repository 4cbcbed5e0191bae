/** The fatal daily-js error types (`event.error.type`) that a room can throw at its participants. */
export type RoomError = 'ejected' | 'exp-room' | 'no-room' | 'meeting-full' | 'end-of-life' | 'connection-error';
