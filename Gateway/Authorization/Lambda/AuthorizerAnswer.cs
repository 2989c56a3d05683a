using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Lambda;

/// <summary>What an authorizer function returned.</summary>
/// <param name="Identity">Who the request is from, or <see langword="null"/> where it is denied.</param>
/// <param name="Ttl">How long the answer may be reused where the function says so, else <see langword="null"/>.</param>
/// <remarks>
/// Source: AppSync Events, "AWS_LAMBDA authorization". Anything but <c>true</c> as <c>isAuthorized</c> is a denial, whatever else the
/// answer holds. In <c>handlerContext</c> numbers and booleans become their JSON texts and <c>null</c> is left out; objects
/// and arrays, which the service does not support, make the answer malformed, for a handler that relies on one would
/// otherwise decide without it. <c>resolverContext</c> and <c>deniedFields</c> belong to GraphQL and are ignored.
/// </remarks>
internal readonly record struct AuthorizerAnswer(LambdaIdentity? Identity, TimeSpan? Ttl)
{
    // AppSync's greatest life of a result.
    private const double TtlSecondsMax = 3600;

    /// <summary>Reads the answer.</summary>
    /// <param name="json">Well-formed JSON.</param>
    /// <param name="answer">The answer on success.</param>
    /// <returns><see langword="false"/> where it is not what an authorizer returns.</returns>
    public static bool TryParse(ReadOnlyMemory<byte> json, out AuthorizerAnswer answer)
    {
        answer = default;
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 1000 });
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return false;
            }

            if (!root.TryGetProperty("isAuthorized"u8, out var isAuthorized) || isAuthorized.ValueKind != JsonValueKind.True)
            {
                return true;
            }

            if (!TryReadContext(root, out var context) || !TryReadTtl(root, out var ttl))
            {
                return false;
            }

            answer = new AuthorizerAnswer(new LambdaIdentity(context), ttl);
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a text with a lone surrogate or a byte that is not UTF-8.
            return false;
        }
    }

    private static bool TryReadContext(JsonElement root, out Dictionary<string, string> context)
    {
        context = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!root.TryGetProperty("handlerContext"u8, out var map) || map.ValueKind == JsonValueKind.Null)
        {
            return true;
        }

        if (map.ValueKind != JsonValueKind.Object)
        {
            return false;
        }

        foreach (var member in map.EnumerateObject())
        {
            switch (member.Value.ValueKind)
            {
                case JsonValueKind.String:
                    context[member.Name] = member.Value.GetString()!;
                    break;
                case JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False:
                    context[member.Name] = member.Value.GetRawText();
                    break;
                case JsonValueKind.Null:
                    break;
                default:
                    return false;
            }
        }

        return true;
    }

    private static bool TryReadTtl(JsonElement root, out TimeSpan? ttl)
    {
        ttl = null;
        if (!root.TryGetProperty("ttlOverride"u8, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return true;
        }

        if (value.ValueKind != JsonValueKind.Number)
        {
            return false;
        }

        ttl = TimeSpan.FromSeconds(Math.Clamp(value.GetDouble(), 0, TtlSecondsMax));
        return true;
    }
}
