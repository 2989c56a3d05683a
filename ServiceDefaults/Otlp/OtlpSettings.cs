using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Fanfare.ServiceDefaults.Otlp;

/// <summary>The standard exporter keys, checked before the SDK reads them: it ignores a value it cannot use.</summary>
/// <remarks>
/// Header values are secrets, so no message shows a value.
/// Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter".
/// </remarks>
internal sealed class OtlpSettings
{
    public const string EndpointKey = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private static readonly string[] s_prefixes =
        ["OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_METRICS_", "OTEL_EXPORTER_OTLP_LOGS_"];

    /// <summary>Finds everything that is wrong, one sentence per key.</summary>
    public static List<string> FindErrors(IConfiguration configuration)
    {
        List<string> errors = [];
        foreach (string prefix in s_prefixes)
        {
            Check(prefix + "ENDPOINT", IsEndpoint, "must be an http or https URL such as http://localhost:4317.");
            Check(prefix + "PROTOCOL", IsProtocol, "must be grpc or http/protobuf.");
            Check(prefix + "HEADERS", AreHeaders, "must be a list such as name=value,name=value.");
        }

        return errors;

        void Check(string key, Func<string, bool> isValid, string rule)
        {
            if (configuration[key] is { } value && !string.IsNullOrWhiteSpace(value) && !isValid(value))
                errors.Add($"{key} {rule}");
        }
    }

    // "localhost:4317" is a URL too, of the scheme "localhost": the mistake made most often, and the SDK would take it.
    private static bool IsEndpoint(string value) =>
        Uri.TryCreate(value, UriKind.Absolute, out Uri? uri)
        && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
        && uri.Host.Length > 0;

    private static bool IsProtocol(string value) => value.Trim() is "grpc" or "http/protobuf";

    private static bool AreHeaders(string value) => value.Split(',').All(pair => pair.IndexOf('=') > 0);

    /// <summary>Reports the errors when the host starts.</summary>
    internal sealed class Validator(IConfiguration configuration) : IValidateOptions<OtlpSettings>
    {
        public ValidateOptionsResult Validate(string? name, OtlpSettings options) =>
            FindErrors(configuration) is { Count: > 0 } errors
                ? ValidateOptionsResult.Fail(errors)
                : ValidateOptionsResult.Success;
    }
}
