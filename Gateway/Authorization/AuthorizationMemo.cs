using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization;

/// <summary>Why credentials were believed, in a form that can be asked again at little cost. Safe for concurrent use.</summary>
internal interface IProof
{
    /// <summary>Whether they would be believed now, by the same means.</summary>
    bool IsGood(DateTimeOffset now);
}

/// <summary>The credentials that one connection sends with publish after publish, and what was found of them.</summary>
/// <remarks>
/// <para>
/// Messages carry the same authorization object again and again. While its bytes are the same and its <see cref="IProof"/> holds, it is
/// neither parsed nor verified again; namespaces are still checked against its mode. Once a second it is verified in full all the same,
/// so that whatever counts verifications, such as <see cref="FailedAttempts"/>, learns of it soon enough.
/// </para>
/// <para>
/// Only what was verified is kept, in modes that verify nothing of a message but its credentials: API keys and tokens. Secrets are kept as
/// long as the connection that sends them. Safe for concurrent use.
/// </para>
/// </remarks>
internal sealed class AuthorizationMemo(TimeProvider timeProvider)
{
    // A token of the greatest size, escaped and with names around it, is less than this.
    private const int BytesMax = 8 * 1024;

    private static readonly TimeSpan s_verifyInterval = TimeSpan.FromSeconds(1);

    private volatile Entry? _entry;

    /// <summary>Reads an authorization object, as <see cref="Credentials.TryParse"/> does.</summary>
    public bool TryParse(ReadOnlyMemory<byte> json, out Credentials credentials)
    {
        if (_entry is not { } entry || !json.Span.SequenceEqual(entry.Credentials.Json.Span))
        {
            return Credentials.TryParse(json, out credentials);
        }

        credentials = entry.Credentials;
        return true;
    }

    /// <summary>Recalls credentials that <see cref="TryParse"/> found to be the same and that are still good.</summary>
    public bool TryRecall(in Credentials credentials, out AuthMode mode, out Identity? identity)
    {
        if (_entry is { } entry && credentials.Json.Equals(entry.Credentials.Json))
        {
            var now = timeProvider.GetUtcNow();
            // A clock that was set back must not make an entry last longer.
            if (now < entry.VerifyAt && now >= entry.VerifyAt - s_verifyInterval && entry.Proof.IsGood(now))
            {
                (mode, identity) = (entry.Mode, entry.Identity);
                return true;
            }
        }

        (mode, identity) = (default, null);
        return false;
    }

    /// <summary>Keeps credentials that were verified.</summary>
    public void Keep(in Credentials credentials, AuthMode mode, Identity? identity, IProof proof)
    {
        var kept = credentials;
        var isKnown = _entry is { } entry && credentials.Json.Equals(entry.Credentials.Json);
        if (!isKnown && (credentials.Json.Length is 0 or > BytesMax || !Credentials.TryParse(credentials.Json.ToArray(), out kept)))
        {
            return;
        }

        _entry = new Entry(kept, mode, identity, proof, timeProvider.GetUtcNow() + s_verifyInterval);
    }

    private sealed record Entry(Credentials Credentials, AuthMode Mode, Identity? Identity, IProof Proof, DateTimeOffset VerifyAt);
}
