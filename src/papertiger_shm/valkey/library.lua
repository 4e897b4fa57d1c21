-- What the server does for the store: a library of functions, defined once, so that a call makes no closures of its own.
--
-- A collection has three keys. In ``items``, a hash, an id leads to the head's length (4 bytes), the version (8), the
-- place (16), and the index keys with their lengths (2 each), all of which is the head, and then the payload. ``order``
-- and ``index`` are sorted sets of equal scores, whose members are the place and the id, in ``index`` behind an index
-- key and its length. A place is the item's ``created`` and the number of its first write, so that the order of members
-- is that of the items. Two registries hold the names of the collections that hold any items: the table and the
-- namespace, or the other way round, with a zero byte between.

-- ---- adding to a number inside a payload ----------------------------------------------------------------------

local EXACT = 2 ^ 53 -- from here on a number of this language may not be the one that was written

-- By type byte of msgpack: the bytes of the head, and how many values lie inside or how many bytes follow.
local SIZES = {
    [0xca] = 4, [0xcb] = 8, [0xcc] = 1, [0xcd] = 2, [0xce] = 4, [0xcf] = 8, [0xd0] = 1, [0xd1] = 2, [0xd2] = 4,
    [0xd3] = 8, [0xd4] = 2, [0xd5] = 3, [0xd6] = 5, [0xd7] = 9, [0xd8] = 17, [0xc0] = 0, [0xc2] = 0, [0xc3] = 0,
}
local LENGTHS = { -- format of the length, bytes that follow besides
    [0xc4] = {'>I1', 0}, [0xc5] = {'>I2', 0}, [0xc6] = {'>I4', 0}, [0xc7] = {'>I1', 1}, [0xc8] = {'>I2', 1},
    [0xc9] = {'>I4', 1}, [0xd9] = {'>I1', 0}, [0xda] = {'>I2', 0}, [0xdb] = {'>I4', 0},
}
local INSIDE = {[0xdc] = {'>I2', 1}, [0xdd] = {'>I4', 1}, [0xde] = {'>I2', 2}, [0xdf] = {'>I4', 2}}
local NUMBERS = {
    [0xca] = '>f', [0xcb] = '>d', [0xcc] = '>I1', [0xcd] = '>I2', [0xce] = '>I4', [0xcf] = '>I8', [0xd0] = '>i1',
    [0xd1] = '>i2', [0xd2] = '>i4', [0xd3] = '>i8',
}

-- Where the head of the value at ``at`` ends, how many values lie inside, how many bytes follow.
local function extent(text, at)
    local kind = text:byte(at)
    if kind <= 0x7f or kind >= 0xe0 then
        return at + 1, 0, 0
    elseif kind <= 0x8f then
        return at + 1, 2 * (kind - 0x80), 0
    elseif kind <= 0x9f then
        return at + 1, kind - 0x90, 0
    elseif kind <= 0xbf then
        return at + 1, 0, kind - 0xa0
    elseif SIZES[kind] then
        return at + 1, 0, SIZES[kind]
    end
    local format, more = unpack(LENGTHS[kind] or INSIDE[kind])
    local length, behind = struct.unpack(format, text, at + 1)
    if INSIDE[kind] then
        return behind, length * more, 0
    end
    return behind, 0, length + more
end

local function behind_value(text, at)
    local left = 1
    while left > 0 do
        local behind, inside, bytes = extent(text, at)
        at, left = behind + bytes, left - 1 + inside
    end
    return at
end

local function is_map(kind)
    return kind >= 0x80 and kind <= 0x8f or kind == 0xde or kind == 0xdf
end

-- The place of the number that the path leads to, and of what follows it; the number; whether it is a whole one.
local function number_at(text, at, path)
    for _, step in ipairs(path) do
        if not is_map(text:byte(at)) then
            return nil
        end
        local key, inside = extent(text, at)
        at = nil
        for _ = 1, inside, 2 do
            local start, _, bytes = extent(text, key)
            local value = start + bytes
            if text:sub(start, value - 1) == step then
                at = value
                break
            end
            key = behind_value(text, value)
        end
        if not at then
            return nil
        end
    end
    local kind = text:byte(at)
    if kind <= 0x7f then
        return at, at + 1, kind, true
    elseif kind >= 0xe0 then
        return at, at + 1, kind - 0x100, true
    elseif not NUMBERS[kind] then
        return nil
    end
    local found, behind = struct.unpack(NUMBERS[kind], text, at + 1)
    local whole = kind > 0xcb
    if whole and math.abs(found) >= EXACT then
        return nil
    end
    return at, behind, found, whole
end

-- In the shortest form, as all who write msgpack have it.
local function packed_whole(value)
    if value >= 0 then
        if value < 0x80 then return string.char(value) end
        if value < 0x100 then return '\204' .. struct.pack('>I1', value) end
        if value < 0x10000 then return '\205' .. struct.pack('>I2', value) end
        if value < 0x100000000 then return '\206' .. struct.pack('>I4', value) end
        return '\207' .. struct.pack('>I8', value)
    end
    if value >= -0x20 then return string.char(value + 0x100) end
    if value >= -0x80 then return '\208' .. struct.pack('>i1', value) end
    if value >= -0x8000 then return '\209' .. struct.pack('>i2', value) end
    if value >= -0x80000000 then return '\210' .. struct.pack('>i4', value) end
    return '\211' .. struct.pack('>i8', value)
end

-- ---- a commit ------------------------------------------------------------------------------------------------

local function head_of(value)
    local length = struct.unpack('>I4', value)
    local head = {version = struct.unpack('>I8', value, 5), place = value:sub(13, 28), keys = {}, value = value}
    local at = 29
    while at <= length do
        local size = struct.unpack('>I2', value, at)
        head.keys[#head.keys + 1] = value:sub(at, at + 1 + size)
        at = at + 2 + size
    end
    return head
end

local function entry_of(name, by_namespace)
    if not by_namespace then
        return name
    end
    local table_name, namespace = name:match('^([^%z]*)%z(.*)$')
    return namespace .. '\0' .. table_name
end

local function keys_of(request, name)
    local prefix = request.prefix
    return {
        items = prefix .. 'items:' .. name, order = prefix .. 'order:' .. name, index = prefix .. 'index:' .. name,
        name = name, seen = {}, changed = {},
    }
end

-- What a plan is made of; each is called with the step itself, which it is the first of.

local function leave(step)
    local collection, member = step[2], step[3]
    redis.call('ZREM', collection.order, member)
    for _, key in ipairs(step[4]) do
        redis.call('ZREM', collection.index, key .. member)
    end
end

local function enter(step)
    local collection, member = step[2], step[3]
    collection.has_gained = true
    collection.changed[#collection.changed + 1] = step[5]
    redis.call('HSET', collection.items, step[5], step[6])
    redis.call('ZADD', collection.order, 0, member)
    for _, key in ipairs(step[4]) do
        redis.call('ZADD', collection.index, 0, key .. member)
    end
end

local function store(step)
    local collection, id = step[2], step[3]
    collection.changed[#collection.changed + 1] = id
    redis.call('HSET', collection.items, id, step[4])
end

local function drop(step)
    local collection, id = step[2], step[3]
    collection.has_lost = true
    collection.changed[#collection.changed + 1] = id
    redis.call('HDEL', collection.items, id)
end

local function clear(step)
    local collection = step[2]
    collection.has_lost, collection.is_cleared = true, true
    redis.call('UNLINK', collection.items, collection.order, collection.index)
end

-- What the request has made of an item so far; false where there is none.
local function item_of(collection, id)
    local item = collection.seen[id]
    if item == nil then
        local value = not collection.cleared and redis.call('HGET', collection.items, id)
        item = value and head_of(value) or false
        collection.seen[id] = item
    end
    return item
end

-- Every collection whose entry in a registry begins so, or is exact, and those that this very request has written to.
local function clear_all(request, registry, by_namespace, exact, prefixes)
    local ranges = {}
    for _, entry in ipairs(exact) do
        ranges[#ranges + 1] = {entry, '[' .. entry, '[' .. entry, #entry + 1}
    end
    for _, beginning in ipairs(prefixes) do
        ranges[#ranges + 1] = {beginning, '[' .. beginning, '(' .. beginning .. '\255', #beginning}
    end
    for _, range in ipairs(ranges) do
        local beginning, low, high, length = unpack(range)
        for _, entry in ipairs(redis.call('ZRANGEBYLEX', registry, low, high)) do
            local name = by_namespace and entry_of(entry, true) or entry
            if not request.by_name[name] then
                request.by_name[name] = keys_of(request, name)
            end
        end
        for name, collection in pairs(request.by_name) do
            if entry_of(name, by_namespace):sub(1, length) == beginning then
                collection.cleared, collection.seen = true, {}
                request.plan[#request.plan + 1] = {clear, collection}
            end
        end
    end
end

local decide = {}

function decide.expect(request, at, id, version)
    local item = item_of(request.collections[at], id)
    if (item and item.version or 0) ~= version then
        return 'PTRETRY'
    end
end

function decide.put(request, at, id, created, keys, payload, expect)
    local collection = request.collections[at]
    local item = item_of(collection, id)
    if expect == 0 and item then
        return 'PTALREADYEXISTS'
    elseif expect > 0 and (item and item.version or 0) ~= expect then
        return 'PTCONFLICT ' .. string.format('%.0f', item and item.version or 0)
    end
    local change = request.change + 1
    request.change = change
    local place = created .. (item and item.place:sub(9) or struct.pack('>I8', change))
    if item then
        request.plan[#request.plan + 1] = {leave, collection, item.place .. id, item.keys}
    end
    for which, key in ipairs(keys) do
        keys[which] = struct.pack('>I2', #key) .. key
    end
    local head = struct.pack('>I8', change) .. place .. table.concat(keys)
    local value = struct.pack('>I4', #head + 4) .. head .. payload
    collection.seen[id] = {version = change, place = place, keys = keys, value = value}
    request.plan[#request.plan + 1] = {enter, collection, place .. id, keys, id, value}
end

-- Adds to a number where it stands, which leaves all else of the item as it is, to the last bit of numbers that this
-- language could not hold. What is not as simple as that is left to the client, "PTCLIENT".
function decide.increment(request, at, id, path, kind, by)
    local collection = request.collections[at]
    local item = item_of(collection, id)
    if not item then
        return 'PTNOTFOUND'
    end
    local value = item.value
    local first, behind, before, whole = number_at(value, struct.unpack('>I4', value) + 1, path)
    if not first then
        return 'PTCLIENT'
    end
    local after = before + tonumber(by)
    whole = whole and kind == 'i'
    if whole and math.abs(after) >= EXACT or after ~= after or math.abs(after) == math.huge then
        return 'PTCLIENT'
    end
    request.change = request.change + 1
    value = value:sub(1, 4) .. struct.pack('>I8', request.change) .. value:sub(13, first - 1)
        .. (whole and packed_whole(after) or '\203' .. struct.pack('>d', after)) .. value:sub(behind)
    collection.seen[id] = {version = request.change, place = item.place, keys = item.keys, value = value}
    request.plan[#request.plan + 1] = {store, collection, id, value}
    request.results = request.results .. string.format(whole and ' i%.0f' or ' f%.17g', after)
end

function decide.delete(request, at, id)
    local collection = request.collections[at]
    local item = item_of(collection, id)
    if item then
        request.change = request.change + 1
        request.plan[#request.plan + 1] = {leave, collection, item.place .. id, item.keys}
        request.plan[#request.plan + 1] = {drop, collection, id}
        collection.seen[id] = false
    end
end

function decide.clear_table(request, exact, prefixes)
    clear_all(request, request.by_table, false, exact, prefixes)
end

function decide.clear_namespace(request, exact, prefixes)
    clear_all(request, request.by_namespace, true, exact, prefixes)
end

local function register(request, collection)
    local holds = collection.has_gained
    if collection.has_lost or not holds then
        holds = redis.call('EXISTS', collection.items) == 1
    end
    if holds == collection.held then
        return
    end
    for registry, entry in pairs({
        [request.by_table] = collection.name,
        [request.by_namespace] = entry_of(collection.name, true),
    }) do
        if holds then
            redis.call('ZADD', registry, 0, entry)
        else
            redis.call('ZREM', registry, entry)
        end
    end
end

local MOST_IDS = 64

-- Publish which ids have changed, false where that may be any, and the number of the last change.
local function tell(collection, change)
    local changed = collection.changed
    if #changed > 0 or collection.is_cleared then
        local ids = not collection.is_cleared and #changed <= MOST_IDS and changed
        -- Who may not publish has written all the same.
        redis.pcall('SPUBLISH', collection.items, cmsgpack.pack({string.format('%.0f', change), ids}))
    end
end

-- One atomic request: all of its operations, or, with an error, none. Everything is decided first and written then,
-- since a server does not take back what a function has written.
--
-- keys  session, state, by table, by namespace, then items, order and index of each collection
-- args  prefix of the store's keys, number of the request, the collections' names, the operations (both packed)
--
-- Gives the numbers that increments came to, each after a space: "i3" or "f0.5".
local function commit(keys, args)
    local session, state, number = keys[1], keys[2], args[2]
    local last = redis.call('GET', session)
    if last and last:match('^%S+') == number then
        return last:sub(#number + 1)
    end
    local time, before = redis.call('TIME'), redis.call('HMGET', state, 'change', 'commits')
    local request = {
        prefix = args[1], by_table = keys[3], by_namespace = keys[4], collections = {}, by_name = {}, plan = {},
        results = '',
        change = math.max(time[1] * 1000000 + time[2], tonumber(before[1] or 0)),
    }
    for at, name in ipairs(cmsgpack.unpack(args[3])) do
        local first = 2 + 3 * at
        local collection = {
            items = keys[first], order = keys[first + 1], index = keys[first + 2], name = name, seen = {}, changed = {},
            held = redis.call('EXISTS', keys[first]) == 1,
        }
        request.collections[at], request.by_name[name] = collection, collection
    end
    for at, operation in ipairs(cmsgpack.unpack(args[4])) do
        local wrong = decide[operation[1]](request, unpack(operation, 2))
        if wrong then
            return redis.error_reply(wrong .. ' at ' .. (at - 1))
        end
    end
    for _, step in ipairs(request.plan) do
        step[1](step)
    end
    for _, collection in pairs(request.by_name) do
        register(request, collection)
        tell(collection, request.change)
    end
    if #request.plan > 0 then
        redis.call('HSET', state, 'change', string.format('%.0f', request.change), 'commits', (before[2] or 0) + 1)
    end
    redis.call('SET', session, number .. request.results, 'EX', 600)
    return request.results
end

-- ---- reads of several items ------------------------------------------------------------------------------------

local CHUNK = 500
local HIGHEST = '\255\255\255\255\255\255\255\255\255' -- behind the place of any item

-- As of one moment.
--
-- keys  items, order, index
-- args  at most how many, "older" or "newer", the cursor's id or "", the index keys (packed)
--
-- Gives the values, from the newest, after "more" or "end"; an error where the cursor is no item.
local function read(keys, args)
    local items, order, index = keys[1], keys[2], keys[3]
    local most, way, cursor, filters = tonumber(args[1]), args[2], args[3], cmsgpack.unpack(args[4])

    local prefixes = {}
    for at, key in ipairs(filters) do
        prefixes[at] = struct.pack('>I2', #key) .. key
    end

    local lead, shortest = '', nil
    for _, prefix in ipairs(prefixes) do
        local length = redis.call('ZLEXCOUNT', index, '[' .. prefix, '[' .. prefix .. HIGHEST)
        if not shortest or length < shortest then
            lead, shortest = prefix, length
        end
    end

    local source = shortest and index or order
    local low, high = '[' .. lead, shortest and '[' .. lead .. HIGHEST or '+'
    if low == '[' then
        low = '-'
    end
    if cursor ~= '' then
        local value = redis.call('HGET', items, cursor)
        if not value then
            return redis.error_reply('PTNOTFOUND')
        end
        local here = '(' .. lead .. value:sub(13, 28) .. cursor
        if way == 'older' then
            high = here
        else
            low = here
        end
    end

    local function is_on_all(member)
        for _, prefix in ipairs(prefixes) do
            if prefix ~= lead and not redis.call('ZSCORE', index, prefix .. member) then
                return false
            end
        end
        return true
    end

    local ids, more = {}, false
    while not more do
        local size = math.min(CHUNK, most - #ids + 1)
        local some
        if way == 'older' then
            some = redis.call('ZREVRANGEBYLEX', source, high, low, 'LIMIT', 0, size)
        else
            some = redis.call('ZRANGEBYLEX', source, low, high, 'LIMIT', 0, size)
        end
        for _, member in ipairs(some) do
            local own = member:sub(#lead + 1)
            if is_on_all(own) then
                if #ids == most then
                    more = true
                    break
                end
                ids[#ids + 1] = own:sub(17)
            end
            if way == 'older' then
                high = '(' .. member
            else
                low = '(' .. member
            end
        end
        if #some < size then
            break
        end
    end
    if way == 'newer' then
        for at = 1, math.floor(#ids / 2) do
            ids[at], ids[#ids + 1 - at] = ids[#ids + 1 - at], ids[at]
        end
    end

    local answer = {more and 'more' or 'end'}
    for at = 1, #ids, CHUNK do
        for _, value in ipairs(redis.call('HMGET', items, unpack(ids, at, math.min(at + CHUNK - 1, #ids)))) do
            answer[#answer + 1] = value
        end
    end
    return answer
end

redis.register_function{function_name = NAME .. '_commit', callback = commit}
-- The same for requests that only take away, which a server without memory has to carry out.
redis.register_function{function_name = NAME .. '_relieve', callback = commit, flags = {'allow-oom'}}
redis.register_function{function_name = NAME .. '_read', callback = read, flags = {'no-writes'}}
