using System.Collections.Frozen;

namespace Fanfare.Gateway.Apis;

/// <summary>The APIs of this gateway, found by the host name that a request came to.</summary>
/// <remarks>
/// A host names an API by being one of its custom domain names or by having its id as first label (<c>{apiId}.example.com</c>).
/// Every other host reaches the default API, which is the first one.
/// </remarks>
internal sealed class ApiDirectory
{
    private readonly FrozenDictionary<string, ServedApi>.AlternateLookup<ReadOnlySpan<char>> _byId;
    private readonly FrozenDictionary<string, ServedApi>.AlternateLookup<ReadOnlySpan<char>> _byDomain;

    /// <param name="apis">At least one; ids and domain names are distinct.</param>
    public ApiDirectory(IReadOnlyList<ServedApi> apis)
    {
        All = apis;
        Default = apis[0];
        _byId = apis.ToFrozenDictionary(api => api.Model.Id, StringComparer.OrdinalIgnoreCase)
            .GetAlternateLookup<ReadOnlySpan<char>>();
        _byDomain = apis.SelectMany(api => api.Model.DomainNames.Select(name => (name, api)))
            .ToFrozenDictionary(pair => pair.name, pair => pair.api, StringComparer.OrdinalIgnoreCase)
            .GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>All APIs, the default one first.</summary>
    public IReadOnlyList<ServedApi> All { get; }

    /// <summary>The API of hosts that name none.</summary>
    public ServedApi Default { get; }

    /// <summary>Finds the API of a host.</summary>
    /// <param name="host">The host of a request, without port; may be empty.</param>
    public ServedApi Find(ReadOnlySpan<char> host)
    {
        if (_byDomain.TryGetValue(host, out var api))
        {
            return api;
        }

        var dot = host.IndexOf('.');
        return dot > 0 && _byId.TryGetValue(host[..dot], out api) ? api : Default;
    }
}
