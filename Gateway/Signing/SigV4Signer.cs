using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Fanfare.Gateway.Signing;

/// <summary>The credentials that outgoing requests are signed with. Its text shows no secret.</summary>
/// <param name="AccessKeyId">The id of the access key.</param>
/// <param name="SecretAccessKey">The secret.</param>
/// <param name="SessionToken">The token of temporary credentials, or <see langword="null"/>.</param>
internal sealed record SigV4Credentials(string AccessKeyId, string SecretAccessKey, string? SessionToken = null)
{
    /// <summary>Shows the id alone.</summary>
    public override string ToString() => $"SigV4Credentials {{ AccessKeyId = {AccessKeyId} }}";
}

/// <summary>Signs outgoing HTTP requests by Signature Version 4. Safe for concurrent use.</summary>
/// <remarks>
/// Meant for calls that take milliseconds, so it prefers being short to being fast; the key of the day is derived once all the same.
/// For every service but S3, whose paths are encoded and normalised differently.
/// </remarks>
internal sealed class SigV4Signer(SigV4Credentials credentials, string region, string service, TimeProvider timeProvider)
{
    private DatedKey? _key;

    /// <summary>Signs a request: adds <c>X-Amz-Date</c>, the session token where there is one, and <c>Authorization</c>.</summary>
    /// <param name="request">
    /// The request, with an absolute address and its final headers. Signed are <c>Host</c>, <c>Content-Type</c> and all
    /// <c>x-amz-*</c>; others may still change on the way.
    /// </param>
    /// <param name="body">The bytes of its content; empty for none.</param>
    public void Sign(HttpRequestMessage request, ReadOnlySpan<byte> body)
    {
        var uri = request.RequestUri!;
        var now = timeProvider.GetUtcNow();
        request.Headers.Remove("X-Amz-Date");
        request.Headers.Add("X-Amz-Date", FormatTime(now));
        if (credentials.SessionToken is { } token)
        {
            request.Headers.Remove("X-Amz-Security-Token");
            request.Headers.Add("X-Amz-Security-Token", token);
        }

        var headers = new List<KeyValuePair<string, string>> { new("host", request.Headers.Host ?? uri.Authority) };
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            if (name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase))
            {
                headers.AddRange(values.Select(value => KeyValuePair.Create(name, value)));
            }
        }

        if (request.Content?.Headers.NonValidated.TryGetValues("Content-Type", out var contentType) == true)
        {
            headers.Add(new("content-type", contentType.ToString()));
        }

        var authorization = CreateAuthorization(
            request.Method.Method, uri.AbsolutePath, uri.Query.TrimStart('?'), headers, SHA256.HashData(body), now);
        request.Headers.Remove("Authorization");
        request.Headers.TryAddWithoutValidation("Authorization", authorization);
    }

    /// <summary>Makes the <c>Authorization</c> of a request.</summary>
    /// <param name="method">The method in capitals.</param>
    /// <param name="path">The path as it is sent.</param>
    /// <param name="query">The query as it is sent, without the question mark.</param>
    /// <param name="headers">The headers to sign, all of them, <c>host</c> and <c>x-amz-date</c> included.</param>
    /// <param name="payloadHash">The body's SHA-256.</param>
    /// <param name="now">The time in <c>x-amz-date</c>.</param>
    public string CreateAuthorization(
        string method, string path, string query, IEnumerable<KeyValuePair<string, string>> headers, ReadOnlySpan<byte> payloadHash,
        DateTimeOffset now)
    {
        var time = Encoding.ASCII.GetBytes(FormatTime(now));
        var date = time.AsSpan(0, SignatureV4.DateLength);
        var scope = Encoding.UTF8.GetBytes($"{Encoding.ASCII.GetString(date)}/{region}/{service}/aws4_request");
        var canonical = new CanonicalRequest([]);
        try
        {
            var names = Write(ref canonical, method, path, query, headers);
            var text = canonical.Seal();
            Convert.TryToHexStringLower(payloadHash, text[^CanonicalRequest.PayloadHashLength..], out _);
            Span<byte> signature = stackalloc byte[SignatureV4.HashLength];
            SignatureV4.Sign(GetKey(now, date), time, scope, text, signature);
            return $"AWS4-HMAC-SHA256 Credential={credentials.AccessKeyId}/{Encoding.UTF8.GetString(scope)}, "
                + $"SignedHeaders={names}, Signature={Convert.ToHexStringLower(signature)}";
        }
        finally
        {
            canonical.Dispose();
        }
    }

    private static string Write(
        ref CanonicalRequest canonical, string method, string path, string query, IEnumerable<KeyValuePair<string, string>> headers)
    {
        // Several values of one name are one header, in the order in which they are sent.
        var sorted = headers
            .GroupBy(header => header.Key.ToLowerInvariant(), header => header.Value, StringComparer.Ordinal)
            .OrderBy(header => header.Key, StringComparer.Ordinal)
            .ToList();
        canonical.AppendTarget(Encoding.ASCII.GetBytes(method), Encoding.UTF8.GetBytes(Normalize(path)), query);
        foreach (var header in sorted)
        {
            canonical.AppendHeader(
                Encoding.ASCII.GetBytes(header.Key), Encoding.UTF8.GetBytes(string.Join(',', header.Select(value => value.Trim()))));
        }

        var names = string.Join(';', sorted.Select(header => header.Key));
        canonical.AppendSignedHeaders(Encoding.ASCII.GetBytes(names));
        return names;
    }

    // RFC 3986, section 5.2.4, and several slashes are one.
    private static string Normalize(string path)
    {
        var segments = new List<string>();
        foreach (var segment in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (segment == "..")
            {
                segments.RemoveRange(Math.Max(segments.Count - 1, 0), Math.Min(segments.Count, 1));
            }
            else if (segment != ".")
            {
                segments.Add(segment);
            }
        }

        var isFolder = segments.Count > 0 && path.Split('/')[^1] is "" or "." or "..";
        return "/" + string.Join('/', segments) + (isFolder ? "/" : "");
    }

    private static string FormatTime(DateTimeOffset time) =>
        time.UtcDateTime.ToString(SignatureV4.TimeFormat, CultureInfo.InvariantCulture);

    private byte[] GetKey(DateTimeOffset now, ReadOnlySpan<byte> date)
    {
        var day = DateOnly.FromDateTime(now.UtcDateTime);
        var key = Volatile.Read(ref _key);
        if (key?.Day != day)
        {
            key = new DatedKey(
                day,
                SignatureV4.DeriveKey(credentials.SecretAccessKey, date, Encoding.UTF8.GetBytes(region), Encoding.UTF8.GetBytes(service)));
            Volatile.Write(ref _key, key);
        }

        return key.Key;
    }

    private sealed record DatedKey(DateOnly Day, byte[] Key);
}
