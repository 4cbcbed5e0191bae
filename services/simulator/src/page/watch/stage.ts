import type { DailyParticipant } from '../daily.ts';

/** Who is shown large: the replica itself where it is in the room, else the bot that brings its picture, else anyone with video. */
export function chooseStage(remote: readonly DailyParticipant[]): DailyParticipant | undefined {
  const withVideo = remote.filter(({ tracks }) => !['off', 'blocked'].includes(tracks.video.state));
  const isReplica = ({ user_id: id }: DailyParticipant): boolean => /tavus-(replica|face)/.test(id);
  return withVideo.find(isReplica) ?? withVideo[0] ?? remote.find(isReplica) ?? remote[0];
}
