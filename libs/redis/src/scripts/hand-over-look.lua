-- hand-over-look: how far a hand-over is.
-- keys      record, hand-over
-- arguments token
-- answer    the step | 'void'
-- invariant reads only; owner and heir see the same step at the same moment, by Redis' clock
return hand_over_phase(KEYS[1], KEYS[2], ARGV[1])
