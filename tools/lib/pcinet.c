// SPDX-License-Identifier: GPL-2.0-only
/* Whether interfaces are in use, by rtnetlink, with libnl-route. */
#include <netinet/in.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <string.h>

#include "link.h"
#include "pciuse.h"

/**
 * struct tables - what the kernel knows of the network, at one time
 * @links: interfaces
 * @addresses: of both families
 * @routes: of both families
 */
struct tables {
	struct nl_cache *links;
	struct nl_cache *addresses;
	struct nl_cache *routes;
};

static void tables_free(struct tables *tables)
{
	nl_cache_free(tables->links);
	nl_cache_free(tables->addresses);
	nl_cache_free(tables->routes);
}

static enum status tables_read(struct tables *tables, struct failure *why)
{
	struct nl_sock *conn;
	enum status status;
	int error;

	*tables = (struct tables){ 0 };
	status = link_connect(&conn, why);
	if (status)
		return status;
	error = rtnl_link_alloc_cache(conn, AF_UNSPEC, &tables->links);
	if (!error)
		error = rtnl_addr_alloc_cache(conn, &tables->addresses);
	if (!error)
		error = rtnl_route_alloc_cache(conn, AF_UNSPEC, 0, &tables->routes);
	link_disconnect(conn);
	return error ? failed(why, ST_SYSTEM, "netlink: %s", nl_geterror(error)) : ST_OK;
}

static enum status is_part(const struct tables *tables, const char *name, int index, int master,
			   struct failure *why)
{
	struct nl_object *object;

	for (object = nl_cache_get_first(tables->links); object;
	     object = nl_cache_get_next(object)) {
		struct rtnl_link *link = (struct rtnl_link *)object;

		if (rtnl_link_get_ifindex(link) == master)
			return failed(why, ST_PCI_PORT, "its interface %s is a port of %s", name,
				      rtnl_link_get_name(link));
		/* An index in another namespace means something else. */
		if (rtnl_link_get_link(link) == index && rtnl_link_get_ifindex(link) != index &&
		    rtnl_link_get_link_netnsid(link, &(int32_t){ 0 }))
			return failed(why, ST_PCI_PORT, "its interface %s is below %s", name,
				      rtnl_link_get_name(link));
	}
	return ST_OK;
}

static bool is_link_local(struct nl_addr *address)
{
	const unsigned char *bytes = nl_addr_get_binary_addr(address);

	return nl_addr_get_family(address) == AF_INET6 && nl_addr_get_len(address) >= 2 &&
	       bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static enum status has_address(const struct tables *tables, const char *name, int index,
			       struct failure *why)
{
	struct nl_object *object;
	char text[64];

	for (object = nl_cache_get_first(tables->addresses); object;
	     object = nl_cache_get_next(object)) {
		struct rtnl_addr *address = (struct rtnl_addr *)object;
		struct nl_addr *local = rtnl_addr_get_local(address);

		if (rtnl_addr_get_ifindex(address) == index && local && !is_link_local(local))
			return failed(why, ST_PCI_ADDRESS, "its interface %s has the address %s",
				      name, nl_addr2str(local, text, sizeof(text)));
	}
	return ST_OK;
}

/* Routes that the kernel has made for an interface that is up: link-local ones, and multicast. */
static bool is_of_itself(struct rtnl_route *route)
{
	struct nl_addr *to = rtnl_route_get_dst(route);

	return rtnl_route_get_table(route) == RT_TABLE_LOCAL ||
	       rtnl_route_get_type(route) == RTN_MULTICAST || (to && is_link_local(to));
}

static enum status has_route(const struct tables *tables, const char *name, int index,
			     struct failure *why)
{
	struct nl_object *object;
	char text[64];

	for (object = nl_cache_get_first(tables->routes); object;
	     object = nl_cache_get_next(object)) {
		struct rtnl_route *route = (struct rtnl_route *)object;
		struct nl_addr *to = rtnl_route_get_dst(route);
		int hops = rtnl_route_get_nnexthops(route);

		for (int i = 0; i < hops && !is_of_itself(route); i++) {
			struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, i);

			if (rtnl_route_nh_get_ifindex(hop) == index)
				return failed(why, ST_PCI_ROUTE,
					      "the route to %s is by its interface %s",
					      to && nl_addr_get_prefixlen(to) ?
						      nl_addr2str(to, text, sizeof(text)) :
						      "everywhere",
					      name);
		}
	}
	return ST_OK;
}

enum status pci_interfaces_used(const struct sysfs *sysfs, const struct names *interfaces,
				struct failure *why)
{
	char path[SYSFS_PATH_MAX];
	struct tables tables;
	enum status status;

	status = tables_read(&tables, why);
	for (size_t i = 0; !status && i < interfaces->count; i++) {
		const char *name = interfaces->list[i];
		struct rtnl_link *link = rtnl_link_get_by_name(tables.links, name);
		int index, master;

		/* Names change, and sysfs may be that of another network namespace. */
		index = link ? rtnl_link_get_ifindex(link) : 0;
		sysfs_path(path, "sys/class/net/%s/ifindex", name);
		if (!link || sysfs_number(sysfs, path, -1) != index) {
			if (link)
				rtnl_link_put(link);
			status = failed(why, ST_PCI_CHANGED,
					"its interface %s is gone, or has another name", name);
			break;
		}
		master = rtnl_link_get_master(link);
		rtnl_link_put(link);
		status = is_part(&tables, name, index, master ? master : -1, why);
		if (!status)
			status = has_address(&tables, name, index, why);
		if (!status)
			status = has_route(&tables, name, index, why);
	}
	tables_free(&tables);
	return status;
}
