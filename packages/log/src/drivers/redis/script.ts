/**
 * A program that Redis runs as one step: nothing else happens between its commands. It appends, after it has looked at
 * all of it. KEYS are the streams. ARGV: `write`, or `check` to look only; a channel; who appends; then for each record
 * the place of its stream in KEYS, its number and its id, and, to write it, head and data.
 *
 * Answers `ok`, or why it is refused and then has written nothing: `gap`, `diverged`, `gone` with the record's place
 * from 0 and what is there instead, `lost` or `foreign` with the place of a stream.
 */
export const appendScript = `
local isWrite = ARGV[1] == 'write'
local stride = isWrite and 5 or 3
local first, last, ids = 4, {}, {}

for k = 1, #KEYS do
  last[k], ids[k] = 0, {}
  local info = redis.pcall('XINFO', 'STREAM', KEYS[k])
  if info.err then
    if not string.find(info.err, 'no such key', 1, true) then return info end
  else
    local top, entry
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then top = info[i + 1] end
      if info[i] == 'last-entry' then entry = info[i + 1] end
    end
    if top ~= '0-0' and (not entry or entry[1] ~= top) then return {'lost', k - 1, top} end
    last[k] = tonumber(string.match(top, '^(%d+)%-0$'))
    if not last[k] then return {'foreign', k - 1, top} end
  end
end

local writes, grown = {}, {}
for at = first, #ARGV, stride do
  local k, number, id = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2]
  if number == last[k] + 1 then
    last[k] = number
    ids[k][number] = id
    writes[#writes + 1] = at
  elseif number > last[k] then
    return {'gap', (at - first) / stride, tostring(last[k] + 1)}
  else
    local known = ids[k][number]
    if not known then
      local entry = redis.call('XRANGE', KEYS[k], ARGV[at + 1] .. '-0', ARGV[at + 1] .. '-0')[1]
      if not entry then return {'gone', (at - first) / stride, ''} end
      known = entry[2][2]
    end
    if known ~= id then return {'diverged', (at - first) / stride, known} end
  end
end

if isWrite and #writes > 0 then
  for _, at in ipairs(writes) do
    local key = KEYS[tonumber(ARGV[at])]
    redis.call('XADD', key, ARGV[at + 1] .. '-0', 'id', ARGV[at + 2], 'head', ARGV[at + 3], 'data', ARGV[at + 4])
    grown[key] = true
  end
  local partitions = {}
  for key in pairs(grown) do partitions[#partitions + 1] = string.match(key, '%d+$') end
  redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' ' .. table.concat(partitions, ','))
end
return {'ok', 0, ''}
`
