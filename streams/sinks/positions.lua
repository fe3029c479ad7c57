-- Move positions on, if all of them still stand where the caller left them; else change nothing.
-- KEYS[1]: a hash. ARGV, three a position: field, value expected, new value.
-- Returns the first field that stands elsewhere, or '' when all were moved.
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then
    return ARGV[i]
  end
end
for i = 1, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
end
return ''
