using Fanfare.Gateway.Lambda;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.Lambda;

/// <summary>Configuration says where functions are, in every form that JSON, the environment and the command line allow.</summary>
public sealed class LambdaTargetTests
{
    private const string Arn = "arn:aws:lambda:eu-west-1:123456789012:function:auth";

    [Theory]
    [InlineData("auth", "auth", true)]
    [InlineData("auth", Arn, true)]
    [InlineData("auth", Arn + ":live", true)]
    [InlineData("auth", "123456789012:function:auth", true)]
    [InlineData("auth", "123456789012:function:auth:2", true)]
    [InlineData("auth", "auth:$LATEST", true)]
    [InlineData("AUTH", Arn, true)]
    [InlineData("auth", "other", false)]
    [InlineData("auth", "arn:aws:lambda:eu-west-1:123456789012:function:other", false)]
    [InlineData("auth:live", Arn + ":live", true)]
    [InlineData("auth:live", Arn + ":test", false)]
    [InlineData(Arn, Arn, true)]
    [InlineData(Arn, Arn + ":live", true)]
    [InlineData(Arn, "arn:aws:lambda:us-east-1:123456789012:function:auth", false)]
    [InlineData(Arn + ":live", Arn + ":live", true)]
    [InlineData(Arn + ":live", Arn, false)]
    public void A_function_is_found_by_any_of_its_names(string key, string function, bool isFound)
    {
        foreach (var settings in Forms(key))
        {
            var targets = new LambdaTargets(Options.Create(LambdaFixture.Read(settings)));

            var target = targets.Find(LambdaFunctionName.Parse(function));

            Assert.Equal(isFound, target is not null);
            Assert.Equal(isFound ? LambdaTargetKind.Webhook : null, target?.Kind);
        }
    }

    [Fact]
    public void The_most_exact_name_counts_and_the_endpoint_serves_the_rest()
    {
        var targets = new LambdaTargets(Options.Create(LambdaFixture.Read(
        [
            ("Endpoint", "http://localhost:1/"), ("Functions:auth", "http://localhost:2/hook"), ($"Functions:{Arn}:live", "http://localhost:3/hook"),
        ])));

        Assert.Equal(3, Port(Arn + ":live"));
        Assert.Equal(2, Port(Arn));
        Assert.Equal(1, Port("other"));
        int Port(string function) => targets.Find(LambdaFunctionName.Parse(function))!.Address.Port;
    }

    [Theory]
    [InlineData("http://localhost:9000", "lambda", "http://localhost:9000/2015-03-31/functions/a%3Alive/invocations")]
    [InlineData("http://localhost:9000/", "lambda", "http://localhost:9000/2015-03-31/functions/a%3Alive/invocations")]
    [InlineData("http://localhost:9000/2015-03-31/functions/b/invocations", "lambda", "http://localhost:9000/2015-03-31/functions/b/invocations")]
    [InlineData("http://localhost:9000/2015-03-31/functions/function/invocations", "rie", "http://localhost:9000/2015-03-31/functions/function/invocations")]
    [InlineData("http://localhost:9000/authorize", "webhook", "http://localhost:9000/authorize")]
    [InlineData("https://h.example/authorize?x=1", "webhook", "https://h.example/authorize?x=1")]
    [InlineData("http://localhost:9000/base|lambda", "lambda", "http://localhost:9000/base/2015-03-31/functions/a%3Alive/invocations")]
    [InlineData("http://localhost:8080|RIE", "rie", "http://localhost:8080/2015-03-31/functions/function/invocations")]
    [InlineData("http://localhost:8080|webhook", "webhook", "http://localhost:8080/")]
    public void An_address_tells_what_is_there_unless_a_type_does(string setting, string kind, string invokeAddress)
    {
        var parts = setting.Split('|');
        List<(string, string)> settings = [("Functions:a:Url", parts[0])];
        if (parts is [_, var type])
        {
            settings.Add(("Functions:a:Type", type));
        }

        var target = new LambdaTargets(Options.Create(LambdaFixture.Read(settings))).Find(LambdaFunctionName.Parse("a:live"))!;

        Assert.Equal(
            kind switch { "lambda" => LambdaTargetKind.Lambda, "rie" => LambdaTargetKind.Emulator, _ => LambdaTargetKind.Webhook }, target.Kind);
        Assert.Equal(invokeAddress, target.GetInvokeAddress("a:live").AbsoluteUri);
    }

    [Theory]
    [InlineData("Functions:a", "nonsense", "Fanfare:Lambda:Functions:a must have an http or https address.")]
    [InlineData("Functions:a", "ftp://h/x", "Fanfare:Lambda:Functions:a must have an http or https address.")]
    [InlineData("Functions:0:Name", "a", "Fanfare:Lambda:Functions:0 must have an http or https address.")]
    [InlineData("Endpoint", "localhost:9000", "Fanfare:Lambda:Endpoint must be an http or https address.")]
    [InlineData("AccessKeyId", "AKIA", "Fanfare:Lambda:AccessKeyId and Fanfare:Lambda:SecretAccessKey go together.")]
    [InlineData("AuthorizerTimeout", "00:00:00", "Fanfare:Lambda:AuthorizerTimeout must be a time between 0 and one hour.")]
    public void A_wrong_setting_stops_the_start_and_is_named(string key, string value, string message)
    {
        var result = new GatewayOptionsValidator().Validate(null, LambdaFixture.Read([(key, value)]));

        Assert.Equal([message], result.Failures);
    }

    [Fact]
    public void A_wrong_type_is_named()
    {
        var options = LambdaFixture.Read([("Functions:a:Url", "http://h/x"), ("Functions:a:Type", "sqs")]);

        Assert.Equal(["Fanfare:Lambda:Functions:a:Type must be lambda, rie or webhook."], new GatewayOptionsValidator().Validate(null, options).Failures);
    }

    private static IEnumerable<(string, string)[]> Forms(string key) =>
    [
        [($"Functions:{key}", "http://localhost:1/hook")],
        [($"Functions:{key}:Url", "http://localhost:1/hook")],
        [("Functions:0:Name", key), ("Functions:0:Url", "http://localhost:1/hook")],
    ];
}
