namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Remembers the signatures of publishes, to refuse one that turns up again later. Safe for concurrent use.</summary>
/// <remarks>
/// <para>
/// A Signature Version 4 signature has no nonce and its time counts in seconds: a client that publishes the same events to the
/// same channel twice within a second sends the same signature twice, in good faith. AppSync takes every signature any number of
/// times until it expires. So does the gateway, with one exception: a <em>publish</em> whose signature was first seen longer ago
/// than <see cref="IamOptions.RepeatTime"/> is refused. Honest repetitions lie within the second that they were signed in plus what
/// the network delays them by; a recorded publish that is played back later doubles events, and is what this is for.
/// </para>
/// <para>
/// Connects and subscribes are not remembered. Clients send both again as they are (two tabs that open in one second; Amplify, which
/// repeats all its subscribes when an answer was lost, 15 seconds later), they change nothing that others see, and what is played
/// back within the clock skew opens no more than what its sender could read by listening to the first.
/// </para>
/// <para>
/// Only signatures that were verified come here, so strangers cannot fill it. Two generations, each as long as a signature can
/// be valid, are kept; at <see cref="CountMax"/> the older one is dropped early, which forgets and never refuses. One gateway
/// does not know what another has seen.
/// </para>
/// </remarks>
internal sealed class UsedSignatures(TimeSpan repeatTime, TimeSpan clockSkew)
{
    /// <summary>Signatures of a generation: some 10 MB, and ten minutes of 400 publishes a second.</summary>
    public const int CountMax = 256 * 1024;

    private readonly Lock _lock = new();

    // A signature is valid from the skew before its time to the skew after it.
    private readonly TimeSpan _generationTime = 2 * clockSkew;

    // Guarded by _lock, as is everything below.
    private Dictionary<UInt128, DateTimeOffset> _current = [];
    private Dictionary<UInt128, DateTimeOffset> _previous = [];
    private DateTimeOffset _generationEnd;

    /// <summary>Notes that a signature is used, and says whether it may be: for the first time, or again soon after it.</summary>
    /// <param name="signature">A part of the signature: no two of a key's are alike in practice.</param>
    /// <param name="now">The present.</param>
    public bool TryUse(UInt128 signature, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (now >= _generationEnd || _current.Count >= CountMax)
            {
                // After a pause as long as a generation, the one that ends is too old to be worth keeping.
                _previous = now >= _generationEnd + _generationTime ? [] : _current;
                _current = [];
                _generationEnd = now + _generationTime;
            }

            if (_current.TryGetValue(signature, out var first) || _previous.TryGetValue(signature, out first))
            {
                return now - first <= repeatTime;
            }

            _current.Add(signature, now);
            return true;
        }
    }
}
