"""The filter that reads a backend's name from host or path; Envoy runs it for every request."""

NAMES_LUA = """\
-- Reads the backend's name from host or path, so that every form of address meets one virtual host.
-- Which names exist stands in the route configuration, as this filter's context.

local function is_known(context, name)
  return name ~= nil and context ~= nil and context:get(name) ~= nil
end

local function find(context, host, path, model)
  local name = string.match(string.lower(host), "^([^.:]+)")
  if is_known(context, name) then
    return name, path
  end
  -- gRPC names its model inside the message, where no gateway looks; its metadata says it again.
  if is_known(context, model) and string.match(path, "^/[%w_.]+%.[%w_]+/%u%w*$") then
    return model, path
  end
  name = string.match(path, "^/v2/models/([^/?]+)")
  if is_known(context, name) then
    return name, path
  end
  local first, rest = string.match(path, "^/([^/?]+)(.*)$")
  if is_known(context, first) then
    if string.sub(rest, 1, 1) ~= "/" then
      rest = "/" .. rest
    end
    return first, rest
  end
  return nil, path
end

-- A new client's cookie is made before the route is chosen, so that its first answer already comes
-- from the release that all later ones come from.
local function mint_cookie(handle, headers, cookie)
  local jar = headers:get("cookie")
  if jar ~= nil and string.find("; " .. jar, "; " .. cookie .. "=", 1, true) then
    return
  end
  local id = string.match(headers:get("x-request-id") or "", "^[%w-]+$")
  if id == nil then
    return
  end
  local pair = cookie .. "=" .. string.sub(id, 1, 64)
  headers:replace("cookie", jar == nil and pair or jar .. "; " .. pair)
  local set = pair .. "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"
  handle:streamInfo():dynamicMetadata():set("pai", "set_cookie", set)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local context = handle:filterContext()
  local path = headers:get(":path")
  local model_named = headers:get("x-pai-model")
  local name, inner = find(context, headers:get(":authority") or "", path, model_named)
  if name == nil then
    return
  end
  headers:replace("x-pai-backend", name)
  if inner ~= path then
    headers:replace(":path", inner)
    headers:replace("x-forwarded-prefix", "/" .. name)
  end
  local model, version = string.match(inner, "^/v2/models/([^/?]+)/versions/([^/?]+)")
  if model == name then
    headers:replace("x-pai-release", version)
  else
    local asked = headers:get("x-pai-release")
    if asked ~= nil and string.sub(asked, 1, #name + 1) == name .. "/" then
      headers:replace("x-pai-release", string.sub(asked, #name + 2))
    end
  end
  local cookie = context:get(name)
  if cookie ~= "" then
    mint_cookie(handle, headers, cookie)
  end
  local method = headers:get(":method")
  if method == "GET" or method == "HEAD" or headers:get("idempotency-key") ~= nil then
    headers:replace("x-envoy-retry-on", "reset")
  end
end
"""
