using Microsoft.Extensions.Configuration;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>Settings of data sources that are wrong stop the start with a line that names the key.</summary>
public sealed class DataSourceOptionsTests
{
    [Theory]
    [InlineData("AccessKeyId", "a", "AccessKeyId and Fanfare:DataSources:SecretAccessKey go together.")]
    [InlineData("DynamoDBEndpoint", "ftp://x", "DynamoDBEndpoint must be an http or https address.")]
    [InlineData("EventBridgeEndpoint", "x", "EventBridgeEndpoint must be an http or https address.")]
    [InlineData("RdsDataEndpoint", "x", "RdsDataEndpoint must be an http or https address.")]
    [InlineData("BedrockEndpoint", "x", "BedrockEndpoint must be an http or https address.")]
    [InlineData("Timeout", "00:00:00", "Timeout must be a time between 0 and one hour.")]
    [InlineData("ConcurrencyMax", "0", "ConcurrencyMax must be 1 or more.")]
    [InlineData("WaitingMax", "-1", "WaitingMax must be 0 or more.")]
    [InlineData("ResponseBytesMax", "0", "ResponseBytesMax must be 1 or more.")]
    [InlineData("Sources:web:Endpoint", "web", "Sources:web:Endpoint must be an http or https address.")]
    [InlineData("Sources:web:Timeout", "02:00:00", "Sources:web:Timeout must be a time between 0 and one hour.")]
    [InlineData("Sources:web:ConcurrencyMax", "0", "Sources:web:ConcurrencyMax must be 1 or more.")]
    public void A_wrong_value_is_refused(string key, string value, string failure)
    {
        var result = new GatewayOptionsValidator().Validate(null, DataSourceFixture.Read([($"DataSources:{key}", value)]));

        Assert.Equal([$"Fanfare:DataSources:{failure}"], result.Failures);
    }

    [Fact]
    public void Settings_of_one_data_source_are_read_whatever_the_case_of_its_name()
    {
        var options = DataSourceFixture.Read([
            ("DataSources:Sources:Web:Endpoint", "http://web:8080/base"), ("DataSources:Sources:Web:Region", "r"),
            ("DataSources:Sources:Web:Timeout", "00:00:02"), ("DataSources:Sources:Web:ConcurrencyMax", "3"),
        ]);

        Assert.False(new GatewayOptionsValidator().Validate(null, options).Failed);
        var source = options.DataSources.Sources["web"];
        Assert.Equal(
            (new Uri("http://web:8080/base"), "r", TimeSpan.FromSeconds(2), 3),
            (source.Endpoint, source.Region, source.Timeout!.Value, source.ConcurrencyMax!.Value));
    }

    [Fact]
    public void A_setting_that_does_not_exist_is_found_below_any_name()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([
            new("Fanfare:DataSources:Sources:web:Endpoint", "http://web"), new("Fanfare:DataSources:Sources:web:Url", "http://web"),
            new("Fanfare:DataSources:Endpoint", "http://web"), new("Fanfare:Resources:Web:Ref", "x"),
        ]).Build();

        Assert.Equal(
            ["Fanfare:DataSources:Endpoint", "Fanfare:DataSources:Sources:web:Url"],
            UnknownSettings.Find(configuration.GetSection("Fanfare"), typeof(GatewayOptions)).Order(StringComparer.Ordinal));
    }
}
