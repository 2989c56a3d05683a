using System.Globalization;
using Fanfare.Gateway.Tests.Authorization.Iam;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>Checks signatures of what arrived with a signer that shares nothing with the gateway's.</summary>
internal static class SignedCalls
{
    /// <summary>Asserts that a call is signed for a service and region with <see cref="DataSourceFixture.Credentials"/>.</summary>
    public static void AssertSigned(FakeCall call, string service, string region)
    {
        var authorization = call.Headers["Authorization"];
        var names = authorization.Split("SignedHeaders=")[1].Split(',')[0].Split(';');
        Assert.Contains("host", names);
        var target = call.RequestLine.Split(' ')[1].Split('?');
        var expected = new ReferenceSigner
        {
            Service = service,
            Region = region,
            Method = call.RequestLine.Split(' ')[0],
            Path = target[0].Replace("%", "%25", StringComparison.Ordinal),
            Query = target.Length > 1 ? string.Join('&', target[1].Split('&').Order(StringComparer.Ordinal)) : "",
            Time = DateTimeOffset.ParseExact(
                call.Headers["X-Amz-Date"], "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal),
            Headers = [.. names.Select(name => (name, call.Headers[name]))],
        }.Sign(call.Body);
        Assert.Equal(expected.Single(header => header.Name == "authorization").Value, authorization);
    }
}
