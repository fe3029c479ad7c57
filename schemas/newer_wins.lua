-- Write each value unless the stored one is as new or newer, raise scores, move positions: all of it
-- at once, or nothing when a position differs from what the caller expects.
-- KEYS: the hash of positions; key and guard of each value; the sorted sets of the scores.
-- ARGV[1]: msgpack of three flat lists and a number
--   values, four each: version, value, lifetime s (0: none), channel or ''
--   scores, three each: number of the sorted set, member, score
--   moves, three each: field, value expected, new value
--   how many seconds longer than its key a guard lives
-- Versions are of fixed width, so that comparing strings compares what they say.
-- Returns how many values were written, or the field of the position that differs.
local values, scores, moves, margin = unpack(cmsgpack.unpack(ARGV[1]))
for i = 1, #moves, 3 do
  if redis.call('HGET', KEYS[1], moves[i]) ~= moves[i + 1] then
    return moves[i]
  end
end
local written = 0
for i = 1, #values / 4 do
  local key, guard = KEYS[2 * i], KEYS[2 * i + 1]
  local at = 4 * (i - 1)
  local version, value, lifetime, channel =
    values[at + 1], values[at + 2], values[at + 3], values[at + 4]
  local stored = redis.call('GET', guard)
  if not stored or version > stored then
    if lifetime == 0 then
      redis.call('SET', key, value)
      redis.call('SET', guard, version)
    else
      redis.call('SET', key, value, 'EX', lifetime)
      redis.call('SET', guard, version, 'EX', lifetime + margin)
    end
    if channel ~= '' then
      redis.call('PUBLISH', channel, value)
    end
    written = written + 1
  end
end
local sets = 1 + #values / 2
for i = 1, #scores, 3 do
  redis.call('ZADD', KEYS[sets + scores[i]], 'GT', string.format('%.0f', scores[i + 2]), scores[i + 1])
end
for i = 1, #moves, 3 do
  redis.call('HSET', KEYS[1], moves[i], moves[i + 2])
end
return written
