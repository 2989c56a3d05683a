using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Fanfare.Gateway.Authorization.Lambda;

namespace Fanfare.Gateway.Tests.Authorization.Lambda;

/// <summary>What handlers see of an authorizer function's answer.</summary>
public sealed class LambdaIdentityTests
{
    [Theory]
    [InlineData("""{"isAuthorized":true}""", "{}")]
    [InlineData("""{"isAuthorized":true,"handlerContext":null}""", "{}")]
    [InlineData("""{"isAuthorized":true,"handlerContext":{"tenant":"t-9","é":"\u00e9\n"}}""", """{"tenant":"t-9","é":"é\n"}""")]
    [InlineData("""{"isAuthorized":true,"handlerContext":{"n":1.50,"t":true,"f":false,"z":null}}""", """{"n":"1.50","t":"true","f":"false"}""")]
    [InlineData("""{"isAuthorized":true,"handlerContext":{"a":"1","a":"2"}}""", """{"a":"2"}""")]
    public void Handlers_see_texts_under_both_names(string answer, string context)
    {
        Assert.True(AuthorizerAnswer.TryParse(Encoding.UTF8.GetBytes(answer), out var parsed));

        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            parsed.Identity!.WriteTo(writer);
        }

        Assert.Equal($$"""{"handlerContext":{{context}},"resolverContext":{{context}}}""", Encoding.UTF8.GetString(buffer.WrittenSpan));
        Assert.DoesNotContain("t-9", parsed.Identity!.ToString(), StringComparison.Ordinal);
    }
}
