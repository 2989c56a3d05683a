using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Signing;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Verifies Signature Version 4 signatures. Safe for concurrent use.</summary>
/// <remarks>
/// The steps, in the order of what a client is told first:
/// (1) the form of the <c>Authorization</c> and its scope; (2) the signed headers, which are whatever the client chose so long as
/// host and time are among them; (3) the time; (4) the key and its session token; (5) the signature over the payload.
/// An unknown key goes through all of them with a key that fits nothing, so that time does not tell which keys exist.
/// Every operation signs <c>POST /event</c>, also a WebSocket's. Source: AppSync Events, "Signing".
/// </remarks>
internal sealed class SignatureVerifier(IamDirectory directory, IOptions<GatewayOptions> options, TimeProvider timeProvider)
{
    /// <summary>The service in scopes.</summary>
    public const string ServiceName = "appsync";

    private const int CanonicalRequestStackLength = 1024;
    private const int ScratchLength = 512;

    private readonly byte[] _region = Encoding.UTF8.GetBytes(options.Value.Region);
    private readonly TimeSpan _clockSkew = options.Value.Iam.ClockSkew;
    private readonly ProtocolError _wrongScope = IamErrors.WrongScope(options.Value.Region);
    private readonly UsedSignatures _usedSignatures = new(options.Value.Iam.RepeatTime, options.Value.Iam.ClockSkew);

    /// <summary><see cref="ServiceName"/> in UTF-8.</summary>
    public static ReadOnlySpan<byte> Service => "appsync"u8;

    /// <summary>Verifies a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="credential">Whose signature it is, on success.</param>
    /// <returns>What is wrong, or <see langword="null"/>.</returns>
    public ProtocolError? Verify(in AuthRequest request, out IamCredential? credential)
    {
        credential = null;

        // (1)
        if (!AuthorizationHeader.TryParse(request.Credentials.Authorization.Span, out var header))
        {
            return IamErrors.MalformedHeader;
        }

        if (!header.Region.SequenceEqual(_region) || !header.Service.SequenceEqual(Service))
        {
            return _wrongScope;
        }

        Span<HeaderMember> members = stackalloc HeaderMember[RequestHeaders.MembersMax];
        Span<byte> scratch = stackalloc byte[ScratchLength];
        if (!RequestHeaders.TryRead(request, members, scratch, out var headers))
        {
            return IamErrors.TooLarge;
        }

        // (2)
        Span<byte> text = stackalloc byte[CanonicalRequestStackLength];
        var canonical = new CanonicalRequest(text);
        try
        {
            canonical.AppendTarget("POST"u8, "/event"u8, request.Content.Query);
            if (AppendHeaders(ref canonical, header.SignedHeaders, headers, out var signed) is { } error)
            {
                return error;
            }

            return Verify(request, header, headers, signed, canonical.Seal(), out credential);
        }
        finally
        {
            canonical.Dispose();
        }
    }

    private static ProtocolError? AppendHeaders(
        ref CanonicalRequest canonical, ReadOnlySpan<byte> names, in RequestHeaders headers, out SignedValues signed)
    {
        signed = default;
        foreach (var range in names.Split((byte)';'))
        {
            var name = names[range];
            if (!headers.TryGet(name, isSigned: true, out var value))
            {
                return IamErrors.MissingHeader;
            }

            var written = canonical.AppendHeader(name, value);
            switch (name)
            {
                case var _ when name.SequenceEqual("host"u8):
                    signed.HasHost = true;
                    break;
                case var _ when name.SequenceEqual("x-amz-date"u8):
                    signed.Time = written;
                    break;
                case var _ when name.SequenceEqual("date"u8):
                    signed.Date = written;
                    break;
                case var _ when name.SequenceEqual("x-amz-content-sha256"u8):
                    signed.ContentHash = written;
                    break;
                case var _ when name.SequenceEqual("x-amz-security-token"u8):
                    signed.SessionToken = written;
                    break;
            }
        }

        canonical.AppendSignedHeaders(names);
        return signed.HasHost && (signed.Time ?? signed.Date) is not null ? null : IamErrors.UnsignedHeader;
    }

    private ProtocolError? Verify(
        in AuthRequest request, in AuthorizationHeader header, in RequestHeaders headers, in SignedValues signed, Span<byte> canonical,
        out IamCredential? credential)
    {
        credential = null;
        var contentHash = signed.ContentHash is { } hashRange ? canonical[hashRange] : default;
        if (signed.ContentHash is not null && contentHash.Length != CanonicalRequest.PayloadHashLength)
        {
            return IamErrors.UnsignedPayload;
        }

        // (3)
        Span<byte> time = stackalloc byte[SignatureV4.TimeLength];
        if (!TryReadTime(canonical[(signed.Time ?? signed.Date)!.Value], time, out var signedAt)
            || !time[..SignatureV4.DateLength].SequenceEqual(header.Date))
        {
            return IamErrors.InvalidTime;
        }

        var now = timeProvider.GetUtcNow();
        if ((now - signedAt).Duration() > _clockSkew)
        {
            return signedAt < now ? IamErrors.Expired : IamErrors.NotYetCurrent;
        }

        // (4)
        var isKnown = directory.TryFind(header.AccessKeyId, out var candidate);
        ReadOnlySpan<byte> token = default;
        if (signed.SessionToken is { } tokenRange)
        {
            token = canonical[tokenRange];
        }
        else if (headers.TryGet("x-amz-security-token"u8, isSigned: false, out var unsigned))
        {
            token = unsigned.Trim((byte)' ');
        }

        isKnown &= candidate.HasSessionToken(token);

        // (5)
        Span<byte> signature = stackalloc byte[SignatureV4.HashLength];
        Convert.FromHexString(header.Signature, signature, out _, out _);
        var isSigned = SignedPayload.IsSigned(request.Content, new SignatureCheck
        {
            CanonicalRequest = canonical,
            Key = candidate.GetSigningKey(DateOnly.FromDateTime(signedAt.UtcDateTime), header.Date),
            Time = time,
            Scope = header.Scope,
            ContentHash = contentHash,
            Signature = signature,
        });
        if (!isKnown)
        {
            return ProtocolError.Unauthorized;
        }

        if (!isSigned)
        {
            return IamErrors.SignatureMismatch;
        }

        if (request.Operation == AuthOperation.Publish && !_usedSignatures.TryUse(BinaryPrimitives.ReadUInt128LittleEndian(signature), now))
        {
            return IamErrors.Replayed;
        }

        credential = candidate;
        return null;
    }

    /// <summary>Reads <c>x-amz-date</c>, or a <c>date</c> in its form or in that of HTTP.</summary>
    private static bool TryReadTime(ReadOnlySpan<byte> value, Span<byte> time, out DateTimeOffset signedAt)
    {
        const int longest = 32;
        signedAt = default;
        if (value.Length > longest)
        {
            return false;
        }

        Span<char> text = stackalloc char[longest];
        text = text[..Encoding.Latin1.GetChars(value, text)];
        const DateTimeStyles style = DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal;
        return (DateTimeOffset.TryParseExact(text, SignatureV4.TimeFormat, CultureInfo.InvariantCulture, style, out signedAt)
                || DateTimeOffset.TryParseExact(text, "r", CultureInfo.InvariantCulture, style, out signedAt))
            && signedAt.TryFormat(time, out _, SignatureV4.TimeFormat, CultureInfo.InvariantCulture);
    }

    /// <summary>Where the values that mean something to the verifier are in the canonical request.</summary>
    private struct SignedValues
    {
        public bool HasHost;
        public Range? Time;
        public Range? Date;
        public Range? ContentHash;
        public Range? SessionToken;
    }
}
