-- Write each value unless what is held is as new or newer, raise scores, move positions on: all of
-- it at once, or nothing when a position stands elsewhere than the caller left it.
-- KEYS: the hash of positions; key and guard of each value; the sorted sets of the scores.
-- ARGV[1]: msgpack of four flat lists
--   values, four each: version, value, lifetime s (0: none), channel or ''
--   scores, three each: number of the sorted set, member, score
--   moves, three each: field, value expected, new value
--   and of how much longer than its key a guard lives, s
-- Versions are of fixed width, so that comparing strings compares what they say.
-- Returns how many values were written, or the field of the position that stands elsewhere.
local told, scores, moves, margin = unpack(cmsgpack.unpack(ARGV[1]))
for i = 1, #moves, 3 do
  if redis.call('HGET', KEYS[1], moves[i]) ~= moves[i + 1] then
    return moves[i]
  end
end
local written = 0
for i = 1, #told / 4 do
  local key, guard = KEYS[2 * i], KEYS[2 * i + 1]
  local at = 4 * (i - 1)
  local version, value, lifetime, channel = told[at + 1], told[at + 2], told[at + 3], told[at + 4]
  local held = redis.call('GET', guard)
  if not held or version > held then
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
local sets = 1 + #told / 2
for i = 1, #scores, 3 do
  redis.call('ZADD', KEYS[sets + scores[i]], 'GT', string.format('%.0f', scores[i + 2]), scores[i + 1])
end
for i = 1, #moves, 3 do
  redis.call('HSET', KEYS[1], moves[i], moves[i + 2])
end
return written
