-- Write each value unless what is held is as new or newer; all of one call at once.
-- KEYS: key, guard, key, guard ...
-- ARGV, five a pair: version, value, lifetime s (0: none), guard's lifetime s (0: none), channel or ''
-- Versions are of fixed width, so that comparing strings compares what they say.
-- Returns how many were written.
local written = 0
for i = 1, #KEYS / 2 do
  local key, guard = KEYS[2 * i - 1], KEYS[2 * i]
  local at = 5 * (i - 1)
  local version, value = ARGV[at + 1], ARGV[at + 2]
  local held = redis.call('GET', guard)
  if not held or version > held then
    if ARGV[at + 3] == '0' then
      redis.call('SET', key, value)
    else
      redis.call('SET', key, value, 'EX', ARGV[at + 3])
    end
    if ARGV[at + 4] == '0' then
      redis.call('SET', guard, version)
    else
      redis.call('SET', guard, version, 'EX', ARGV[at + 4])
    end
    if ARGV[at + 5] ~= '' then
      redis.call('PUBLISH', ARGV[at + 5], value)
    end
    written = written + 1
  end
end
return written
