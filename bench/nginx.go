// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// nginx is one process without a master, so that its CPU is one number.
const nginx = `daemon off;
master_process off;
worker_processes 1;
pid %[1]s/%[2]s.pid;
error_log stderr error;
%[3]s
events { worker_connections 2048; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 100000000;
	client_body_temp_path %[1]s/%[2]s-a;
	proxy_temp_path %[1]s/%[2]s-b;
	fastcgi_temp_path %[1]s/%[2]s-c;
	uwsgi_temp_path %[1]s/%[2]s-d;
	scgi_temp_path %[1]s/%[2]s-e;
	%[4]s
}
`

// static serves the lead lists from files.
const static = `server {
		listen %s;
		root %s;
		location = /app/api/leads { default_type application/json; try_files /$arg_size.json =404; }
	}`

// lua masks as a configuration with lua-cjson would: it collects the body, decodes,
// walks, encodes.
const lua = `
	upstream crm { server %[2]s; keepalive 128; keepalive_requests 100000000; }
	init_by_lua_block {
		cjson = require "cjson"
		local sub, rep = string.sub, string.rep
		local function phone(s) return sub(s, 1, 3) .. "XXXXXX" .. sub(s, -4) end
		local function email(s) return "XXXXXX" .. (string.match(s, "@.*$") or "") end
		local function full(s) return "XXXXXXXX" end
		local masks = {EmailAddress = email, Phone = phone, Mobile = phone, mx_PAN_Number = full, mx_Annual_Income = full}
		local hidden = {mx_Aadhaar = true, mx_Date_of_Birth = true, Notes = true}
		function walk(v)
			for k, x in pairs(v) do
				if hidden[k] then
					v[k] = nil
				elseif masks[k] and type(x) ~= "userdata" then
					v[k] = type(x) == "table" and "XXXXXXXX" or masks[k](tostring(x))
				elseif type(x) == "table" then
					walk(x)
				end
			end
		end
	}
	server {
		listen %[1]s;
		location / {
			proxy_pass http://crm;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Accept-Encoding "identity";
			proxy_buffer_size 64k;
			proxy_buffers 32 64k;
			proxy_busy_buffers_size 128k;
			proxy_max_temp_file_size 0;
			header_filter_by_lua_block { ngx.header.content_length = nil; ngx.header.etag = nil }
			body_filter_by_lua_block {
				local ctx = ngx.ctx
				local parts = ctx.parts
				if not parts then parts = {}; ctx.parts = parts end
				parts[#parts + 1] = ngx.arg[1]
				if not ngx.arg[2] then ngx.arg[1] = nil; return end
				local v = cjson.decode(table.concat(parts))
				walk(v)
				ngx.arg[1] = cjson.encode(v)
			}
		}
	}`

// modules is where Debian keeps what nginx loads.
const modules = "/usr/lib/nginx/modules/"

// startNginx starts a process with one configuration.
func (b *processes) startNginx(name, load, http, addr string) (int, error) {
	file := filepath.Join(b.dir, name+".conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginx, b.dir, name, load, http), 0o600); err != nil {
		return 0, err
	}
	return b.start(exec.Command("nginx", "-p", b.dir, "-c", file, "-e", "stderr"), addr)
}

// startFiles serves the bodies of all sizes by nginx where it is installed, and
// says where.
func (b *processes) startFiles() (addr string, err error) {
	if _, err := exec.LookPath("nginx"); err != nil {
		fmt.Println("bench: nginx is not installed: answers come from this program, and nginx with lua-cjson is left out")
		return "", nil
	}
	root := filepath.Join(b.dir, "files")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	for _, s := range sizes {
		if err := os.WriteFile(filepath.Join(root, strconv.Itoa(s.leads)+".json"), []byte(leadList(s.leads)), 0o600); err != nil {
			return "", err
		}
	}
	addr = free()
	_, err = b.startNginx("crm", "", fmt.Sprintf(static, addr, root), addr)
	return addr, err
}

// startLua starts nginx with lua-cjson where both are installed.
func (b *processes) startLua(crm string) error {
	if _, err := exec.LookPath("nginx"); err != nil {
		return nil // said above
	}
	load := ""
	for _, m := range []string{"ndk_http_module.so", "ngx_http_lua_module.so"} {
		if _, err := os.Stat(modules + m); err != nil {
			fmt.Printf("bench: nginx with lua-cjson is left out: there is no %s (packages libnginx-mod-http-lua, lua-cjson)\n", m)
			return nil
		}
		load += "load_module " + modules + m + ";\n"
	}
	addr := free()
	pid, err := b.startNginx("lua", load, fmt.Sprintf(lua, addr, crm), addr)
	if err != nil {
		fmt.Printf("bench: nginx with lua-cjson is left out: %v\n", err)
		return nil
	}
	b.variants = append(b.variants, &variant{name: "lua", addr: addr, pid: pid, masked: true})
	return nil
}
