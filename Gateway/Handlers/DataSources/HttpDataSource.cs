using System.Collections.Frozen;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>HTTP</c>: any server. Every status is a result; the body is text.</summary>
/// <remarks>Redirects are answers like others. Only what reads is sent again when a connection breaks.</remarks>
internal sealed class HttpDataSource(ServiceEndpoint endpoint, TimeProvider timeProvider)
    : RemoteDataSource(DataSourceKind.Http, timeProvider)
{
    // AppSync leaves these out of what a handler asks for, without a word.
    private static readonly FrozenSet<string> s_fixedHeaders = FrozenSet.ToFrozenSet(
        ["Host", "Connection", "User-Agent", "Expect", "Expectation", "Transfer-Encoding", "Content-Length"],
        StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> s_textTypes = FrozenSet.ToFrozenSet(
        ["xml", "json", "soap+xml", "x-amz-json-1.0", "x-amz-json-1.1", "vnd.api+json", "x-ndjson"], StringComparer.OrdinalIgnoreCase);

    /// <inheritdoc/>
    protected override async ValueTask<DataSourceAnswer> SendAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var method = request.GetWord("method", "GET", "POST", "PUT", "PATCH", "DELETE");
        var path = request.GetText("resourcePath");
        var parameters = request.FindObject("params");
        var body = parameters?.Find("body");
        var message = new ServiceRequest(
            HttpMethod.Parse(method), HttpParameters.GetTarget(path, parameters?.FindObject("query")), HttpParameters.GetBody(body))
        {
            IsRepeatable = method == "GET",
            TakesAnyStatus = true,
        };
        AddHeaders(message, parameters?.FindObject("headers"), body);
        return Describe(await endpoint.SendAsync(message, cancellationToken));
    }

    private static void AddHeaders(ServiceRequest message, RequestReader? headers, JsonElement? body)
    {
        var hasType = false;
        foreach (var (name, value) in HttpParameters.ReadHeaders(headers))
        {
            if (!s_fixedHeaders.Contains(name))
            {
                message.Headers.Add(new(name, value));
                hasType |= name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase);
            }
        }

        if (!hasType && body is { } content && content.ValueKind != JsonValueKind.String)
        {
            message.Headers.Add(new("Content-Type", "application/json"));
        }
    }

    private DataSourceAnswer Describe(ServiceReply reply)
    {
        if (reply.Fault != DataSourceFault.None)
        {
            return Faulted(reply.Fault);
        }

        var type = MediaTypeHeaderValue.TryParse(reply.Headers.GetValueOrDefault("Content-Type"), out var parsed) ? parsed : null;
        if (reply.Body.Length > 0 && !IsText(type?.MediaType))
        {
            return DataSourceAnswer.Failed(
                $"{ErrorSource}:UnsupportedMediaTypeException", "The content type of the data source's answer is not supported.");
        }

        return DataSourceAnswer.Result(JsonValues.Write(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("statusCode", reply.Status);
            writer.WriteStartObject("headers");
            foreach (var (name, value) in reply.Headers)
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
            writer.WriteString("body", GetEncoding(type?.CharSet).GetString(reply.Body));
            writer.WriteEndObject();
        }));
    }

    private static bool IsText(string? mediaType) =>
        mediaType is not null
        && (mediaType.StartsWith("text/", StringComparison.OrdinalIgnoreCase)
            || (mediaType.StartsWith("application/", StringComparison.OrdinalIgnoreCase)
                && s_textTypes.Contains(mediaType["application/".Length..])));

    private static Encoding GetEncoding(string? name)
    {
        try
        {
            return name is null ? Encoding.UTF8 : Encoding.GetEncoding(name.Trim('"'));
        }
        catch (ArgumentException)
        {
            return Encoding.UTF8;
        }
    }
}

/// <summary>The parts of an HTTP request as handlers write them.</summary>
internal static class HttpParameters
{
    /// <summary>Makes path and query; values of parameters may be lists.</summary>
    public static string GetTarget(string path, RequestReader? query)
    {
        var target = new StringBuilder(path.StartsWith('/') ? path : "/" + path);
        if (query is { } parameters)
        {
            var separator = path.Contains('?', StringComparison.Ordinal) ? '&' : '?';
            foreach (var (name, value, at) in parameters.Members())
            {
                foreach (var text in GetTexts(value, at))
                {
                    target.Append(separator).Append(Uri.EscapeDataString(name)).Append('=').Append(Uri.EscapeDataString(text));
                    separator = '&';
                }
            }
        }

        return target.ToString();
    }

    /// <summary>Reads headers; values may be lists.</summary>
    public static IEnumerable<(string Name, string Value)> ReadHeaders(RequestReader? headers)
    {
        if (headers is not { } reader)
        {
            yield break;
        }

        foreach (var (name, value, at) in reader.Members())
        {
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal)))
            {
                throw RequestReader.Wrong(reader.Path, "holds a name that is no header's");
            }

            foreach (var text in GetTexts(value, at))
            {
                if (text.AsSpan().ContainsAny('\r', '\n', '\0'))
                {
                    throw RequestReader.Wrong(at, "must be one line");
                }

                yield return (name, text);
            }
        }
    }

    /// <summary>A text as it is, everything else as JSON.</summary>
    public static ReadOnlyMemory<byte> GetBody(JsonElement? body) => body switch
    {
        null => default,
        { ValueKind: JsonValueKind.String } text => Encoding.UTF8.GetBytes(text.GetString()!),
        { } value => JsonValues.GetBytes(value),
    };

    private static IEnumerable<string> GetTexts(JsonElement value, string path) => value.ValueKind switch
    {
        JsonValueKind.Null => [],
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => [value.GetRawText()],
        JsonValueKind.Array => RequestReader.List(value, path).SelectMany(item => item.Item.ValueKind == JsonValueKind.Array
            ? throw RequestReader.Wrong(item.Path, "must be a text")
            : GetTexts(item.Item, item.Path)),
        _ => throw RequestReader.Wrong(path, "must be a text or a list of texts"),
    };
}
