-- Write each value unless what is held is as new or newer; all of one call at once.
-- KEYS: key, guard, key, guard ...
-- ARGV[1]: msgpack of a flat list, four a pair: version, value, lifetime s (0: none), channel or ''
-- ARGV[2]: how much longer than its key a guard lives, s
-- Versions are of fixed width, so that comparing strings compares what they say.
-- Returns how many were written.
local told, margin = cmsgpack.unpack(ARGV[1]), tonumber(ARGV[2])
local written = 0
for i = 1, #KEYS / 2 do
  local key, guard = KEYS[2 * i - 1], KEYS[2 * i]
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
return written
