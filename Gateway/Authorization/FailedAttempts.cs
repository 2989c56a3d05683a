using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Signing;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization;

/// <summary>Counts failed authentications, and makes whoever fails too often wait before anything of theirs is verified again.</summary>
/// <remarks>
/// <para>
/// Each client network (<see cref="ClientNetwork"/>) has a bucket that holds ten seconds' worth of failures and refills evenly; a
/// failure takes one, and while none is left, credentials from there are refused unseen. What that saves is the cost of verifying:
/// signatures, tokens, calls of authorizer functions.
/// </para>
/// <para>
/// Many clients can share an address. Credentials that were verified in the last ten minutes (of a signature: its access key) are
/// therefore always looked at, whatever their neighbours do, and new ones get through as the bucket refills. Requests without
/// credentials fail at no cost, so they are counted but take nothing. Memory is bounded: a network is forgotten when its bucket
/// is full again, and beyond <see cref="NetworksMax"/> further ones go unlimited, since a limit per address is no help against
/// that many.
/// </para>
/// <para>Safe for concurrent use. Where nobody failed lately, a request costs one hash of its credentials.</para>
/// </remarks>
internal sealed class FailedAttempts(IOptions<GatewayLimits> limits, GatewayMetrics metrics, TimeProvider timeProvider)
{
    /// <summary>How many networks are watched at a time: some 2 MB.</summary>
    public const int NetworksMax = 16 * 1024;

    private const int BurstSeconds = 10;
    private const int KnownGoodSlots = 16 * 1024;
    private static readonly TimeSpan s_knownGoodTime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_sweepInterval = TimeSpan.FromSeconds(10);

    private readonly int _perSecond = limits.Value.FailedAttemptsPerSecond;
    private readonly double _burst = (double)limits.Value.FailedAttemptsPerSecond * BurstSeconds;
    private readonly ConcurrentDictionary<ClientNetwork, Bucket> _buckets = new();

    // One slot per hash of credentials: the hash above, the second of the last success below. A later success may overwrite
    // another's slot, which costs that one its privilege and nothing else.
    private readonly long[] _knownGood = new long[KnownGoodSlots];
    private readonly long _started = timeProvider.GetTimestamp();
    private long _sweptAt = timeProvider.GetTimestamp();
    private int _bucketCount;

    /// <summary>Whether the request's credentials may be verified; otherwise it is refused without a look at them.</summary>
    public bool MayTry(in AuthRequest request)
    {
        // Nearly always nobody failed lately.
        if (Volatile.Read(ref _bucketCount) == 0 || _perSecond == 0 || ClientNetwork.Of(request.Origin.Address) is not { } network
            || !_buckets.TryGetValue(network, out var bucket) || GetAvailable(bucket) >= 1 || IsKnownGood(request))
        {
            return true;
        }

        metrics.AuthLimited.Add(
            1, new("api", request.Api.Model.Id), new("operation", GetTag(request.Operation)));
        return false;
    }

    /// <summary>Notes that credentials were refused.</summary>
    /// <param name="request">The request.</param>
    /// <param name="mode">The mode that the credentials carry, or <see langword="null"/> where it could not be told.</param>
    public void NoteFailure(in AuthRequest request, AuthMode? mode)
    {
        metrics.AuthFailures.Add(
            1,
            new("api", request.Api.Model.Id),
            new("mode", mode is { } known ? AuthModeNames.GetName(known) : "none"),
            new("operation", GetTag(request.Operation)));
        var hasCredentials = request.Credentials.ApiKey.Length > 0 || request.Credentials.Authorization.Length > 0;
        if (_perSecond > 0 && hasCredentials && ClientNetwork.Of(request.Origin.Address) is { } network && FindOrAdd(network) is { } bucket)
        {
            lock (bucket)
            {
                bucket.Available = Math.Max(0, Refill(bucket) - 1);
                bucket.RefilledAt = timeProvider.GetTimestamp();
            }
        }
    }

    /// <summary>Notes that credentials were verified.</summary>
    public void NoteSuccess(in AuthRequest request)
    {
        if (_perSecond == 0)
        {
            return;
        }

        var (hash, now) = (GetHash(request), GetSecond());
        ref var slot = ref _knownGood[hash % KnownGoodSlots];
        var value = ((long)hash << 32) | now;
        if (Volatile.Read(ref slot) != value)
        {
            Volatile.Write(ref slot, value);
        }
    }

    private static string GetTag(AuthOperation operation) => operation switch
    {
        AuthOperation.Connect => "connect",
        AuthOperation.Publish => "publish",
        _ => "subscribe",
    };

    private bool IsKnownGood(in AuthRequest request)
    {
        var hash = GetHash(request);
        var value = Volatile.Read(ref _knownGood[hash % KnownGoodSlots]);
        return (uint)(value >> 32) == hash && GetSecond() - (uint)value < s_knownGoodTime.TotalSeconds;
    }

    // Not a hash to prove anything by: who finds a collision (its seed is this process's own) gets credentials verified, no more.
    private static uint GetHash(in AuthRequest request)
    {
        var hash = default(HashCode);
        hash.AddBytes(request.Credentials.ApiKey.Span);
        var authorization = request.Credentials.Authorization.Span;
        if (authorization.StartsWith(SignatureV4.Algorithm))
        {
            // Every signature is another one; what stays is who signs. An access key's id is no secret, so it counts only where it
            // was good before: in the same network.
            hash.AddBytes(GetAccessKeyId(authorization));
            hash.Add(ClientNetwork.Of(request.Origin.Address));
        }
        else
        {
            hash.AddBytes(authorization);
        }

        hash.Add(request.Api.Model.Id, StringComparer.Ordinal);
        return (uint)hash.ToHashCode();
    }

    private static ReadOnlySpan<byte> GetAccessKeyId(ReadOnlySpan<byte> authorization)
    {
        var credential = authorization.IndexOf("Credential="u8);
        if (credential < 0)
        {
            return default;
        }

        var id = authorization[(credential + "Credential=".Length)..];
        var slash = id.IndexOf((byte)'/');
        return slash < 0 ? id : id[..slash];
    }

    // From 1, so that an empty slot is older than any other.
    private uint GetSecond() => 1 + (uint)timeProvider.GetElapsedTime(_started).TotalSeconds;

    private double GetAvailable(Bucket bucket)
    {
        lock (bucket)
        {
            return Refill(bucket);
        }
    }

    private double Refill(Bucket bucket) =>
        Math.Min(_burst, bucket.Available + (timeProvider.GetElapsedTime(bucket.RefilledAt).TotalSeconds * _perSecond));

    private Bucket? FindOrAdd(ClientNetwork network)
    {
        if (_buckets.TryGetValue(network, out var bucket))
        {
            return bucket;
        }

        var sweptAt = Volatile.Read(ref _sweptAt);
        if (timeProvider.GetElapsedTime(sweptAt) >= s_sweepInterval
            && Interlocked.CompareExchange(ref _sweptAt, timeProvider.GetTimestamp(), sweptAt) == sweptAt)
        {
            Sweep();
        }

        if (Volatile.Read(ref _bucketCount) >= NetworksMax)
        {
            return null;
        }

        var added = new Bucket { Available = _burst, RefilledAt = timeProvider.GetTimestamp() };
        bucket = _buckets.GetOrAdd(network, added);
        if (bucket == added)
        {
            Interlocked.Increment(ref _bucketCount);
        }

        return bucket;
    }

    // A failure noted in a bucket while it is removed is lost: one failure too few.
    private void Sweep()
    {
        foreach (var (network, bucket) in _buckets)
        {
            if (GetAvailable(bucket) >= _burst && _buckets.TryRemove(network, out _))
            {
                Interlocked.Decrement(ref _bucketCount);
            }
        }
    }

    private sealed class Bucket
    {
        // Both guarded by a lock on the bucket.
        public double Available;
        public long RefilledAt;
    }
}

/// <summary>Whom a limit per address falls on: one IPv4 address, or the /64 that an IPv6 client may choose its addresses from.</summary>
internal readonly record struct ClientNetwork
{
    private readonly bool _isV6;
    private readonly ulong _prefix;

    private ClientNetwork(bool isV6, ulong prefix) => (_isV6, _prefix) = (isV6, prefix);

    /// <summary>The network of an address; <see langword="null"/> where there is none to go by.</summary>
    public static ClientNetwork? Of(IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (address is null || !address.TryWriteBytes(bytes, out _))
        {
            return null;
        }

        if (address.AddressFamily == AddressFamily.InterNetwork)
        {
            return new ClientNetwork(false, BinaryPrimitives.ReadUInt32BigEndian(bytes));
        }

        // A socket for both families shows IPv4 clients as ::ffff:a.b.c.d, which all have one /64.
        return address.IsIPv4MappedToIPv6
            ? new ClientNetwork(false, BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]))
            : new ClientNetwork(true, BinaryPrimitives.ReadUInt64BigEndian(bytes));
    }
}
